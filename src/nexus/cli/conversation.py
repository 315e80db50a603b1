"""The way of a conversation on the command line: what is said one after the other, commands, and two Ctrl-C to leave."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Protocol

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.cli.failures import report_failure
from nexus.cli.prompt import QUOTES, Read, Typed, check_text, make_reader, read_entry, read_everything, read_message
from nexus.client import ApiError, Unreachable

LEAVING = frozenset({"exit", "quit", "bye"})
HELPING = frozenset({"help", "?", "h"})


class Command(NamedTuple):
    """What can be typed as `/name`; `run` answers a sentence for people."""

    about: str
    run: Callable[[], Coroutine[Any, Any, str]]


Commands = Mapping[str, Command]


class Partner(Protocol):
    """Whom one talks to."""

    commands: dict[str, Command]

    async def answer_message(self, content: str) -> str:
        """Shows the reply to what is said; the tag of the event that ended it."""


Open = Callable[[Asked, AsyncExitStack], Coroutine[Any, Any, Partner]]


def hold_conversation(asked: Asked, open_partner: Open) -> int:
    """The loop is not running while somebody types: then Ctrl-C gives up the line; within a reply it stops the reply."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            return _run_conversation(asked, runner, runner.run(open_partner(asked, stack)))
        finally:
            runner.run(_end_conversation(stack))


async def _end_conversation(stack: AsyncExitStack) -> None:
    """Ends what an impatient Ctrl-C left under way, then closes what is open."""
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    await stack.aclose()


def _read_messages(asked: Asked, commands: Commands) -> list[str]:
    """The messages that the command line or a pipe holds, up to `/exit`. Ended for none, and for a command that is not known."""
    if asked.arguments.message:
        return [read_message(text, asked.output) for text in asked.arguments.message]
    messages = list[str]()
    for one in read_everything(asked.output):
        if one.command in LEAVING:
            break
        if one.command in HELPING:
            asked.output.add_note(format_help(commands))
        elif one.command is not None:
            raise Ended(USAGE, _describe_unknown(one.text, "in a pipe"))
        elif one.text.strip():
            messages.append(check_text(one.text))
    if not messages:
        raise Ended(USAGE, "There is nothing to say: use --message, or write to stdin.")
    return messages


def is_typed(asked: Asked) -> bool:
    """Whether somebody sits there and types what is said."""
    return asked.output.is_interactive and not asked.arguments.message


def _run_conversation(asked: Asked, runner: asyncio.Runner, partner: Partner) -> int:
    """Says what is typed until the end of input, or what the command line or a pipe holds up to what fails. KeyboardInterrupt when somebody
    presses Ctrl-C twice at the prompt, or once where nobody types."""
    if not is_typed(asked):
        return _say_all(_read_messages(asked, partner.commands), runner, partner)
    read = make_reader(asked.output)
    asked.output.add_note("/help lists what you can do here. Ctrl-C stops a reply, Ctrl-D or /exit leaves.")
    while True:
        try:
            one = _read_until_second_interrupt(asked, read)
            if one is None or one.command in LEAVING:
                return OK
            _answer_typed(asked, runner, partner, one)
        except Ended as refused:
            asked.output.add_note(f"nexus: {refused.sentence}")


def _say_all(messages: list[str], runner: asyncio.Runner, partner: Partner) -> int:
    for message in messages:
        ending = runner.run(partner.answer_message(message))
        if ending == "reply.cancelled":
            raise KeyboardInterrupt
        if ending != "reply.completed":
            return FAILED
    return OK


def _read_until_second_interrupt(asked: Asked, read: Read) -> Typed | None:
    """The first Ctrl-C gives up the line and says what a second one does."""
    try:
        return read_entry(read)
    except KeyboardInterrupt:
        asked.output.add_note("\n(Ctrl-C again leaves, and so do Ctrl-D and /exit.)")
        return read_entry(read)


def _answer_typed(asked: Asked, runner: asyncio.Runner, partner: Partner, one: Typed) -> None:
    """A message that fails ends no conversation: what comes next may work."""
    text, command = one
    if command in HELPING:
        asked.output.add_note(format_help(partner.commands))
    elif (known := partner.commands.get(command or "")) is not None:
        asked.output.add_note(runner.run(known.run()))
    elif command is not None:
        asked.output.add_note(_describe_unknown(text, "here"))
    elif text.strip():
        try:
            runner.run(partner.answer_message(check_text(text)))
        except (ApiError, Unreachable) as error:
            report_failure(error, asked)


def _describe_unknown(text: str, where: str) -> str:
    command = text.split()[0]
    return f"There is no command {command} {where}. /help lists them; to say it to the agent, begin with //."


def format_help(commands: Commands) -> str:
    listed = {
        **{f"/{name}": command.about for name, command in commands.items()},
        "/help": "this list",
        "/exit": "leave; so do Ctrl-D, and Ctrl-C twice",
        "//text": "say /text to the agent",
        QUOTES: "begins and ends a text of several lines; one that is pasted needs none",
        "Ctrl-C": "stop a reply; at the prompt, give up the line",
    }
    width = max(map(len, listed))
    return "\n".join(f"  {name:<{width}}  {about}" for name, about in listed.items())
