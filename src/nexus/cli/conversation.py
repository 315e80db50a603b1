"""The way of a conversation on the command line: what is said one after the other, commands, and two Ctrl-C to leave."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack
from typing import Any, NamedTuple, Protocol

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.cli.failures import report_failure
from nexus.cli.prompt import (
    QUOTES,
    Read,
    Typed,
    make_line_reader,
    read_piped_entries,
    read_text_or_stdin,
    read_typed_entry,
    strip_and_check_text,
)
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


def _read_input_messages(asked: Asked, commands: Commands) -> list[str]:
    """The messages that the command line or a pipe holds, up to `/exit`. Ended for none, and for a command that is not known."""
    if asked.arguments.message:
        return [read_text_or_stdin(text, asked.output) for text in asked.arguments.message]
    messages = list[str]()
    for one in read_piped_entries(asked.output):
        if one.command in LEAVING:
            break
        if one.command in HELPING:
            asked.output.write_note(format_chat_help(commands))
        elif one.command is not None:
            raise Ended(USAGE, _describe_unknown_command(one.text, "in a pipe"))
        elif one.text.strip():
            messages.append(strip_and_check_text(one.text))
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
        return _send_all_messages(_read_input_messages(asked, partner.commands), runner, partner)
    read = make_line_reader(asked.output)
    asked.output.write_note("/help lists what you can do here. Ctrl-C stops a reply, Ctrl-D or /exit leaves.")
    while True:
        try:
            one = _read_entry_despite_ctrl_c(asked, read)
            if one is None or one.command in LEAVING:
                return OK
            _handle_typed_entry(asked, runner, partner, one)
        except Ended as refused:
            asked.output.write_note(f"nexus: {refused.sentence}")


def _send_all_messages(messages: list[str], runner: asyncio.Runner, partner: Partner) -> int:
    for message in messages:
        ending = runner.run(partner.answer_message(message))
        if ending == "reply.cancelled":
            raise KeyboardInterrupt
        if ending != "reply.completed":
            return FAILED
    return OK


def _read_entry_despite_ctrl_c(asked: Asked, read: Read) -> Typed | None:
    """The first Ctrl-C gives up the line and says what a second one does."""
    try:
        return read_typed_entry(read)
    except KeyboardInterrupt:
        asked.output.write_note("\n(Ctrl-C again leaves, and so do Ctrl-D and /exit.)")
        return read_typed_entry(read)


def _handle_typed_entry(asked: Asked, runner: asyncio.Runner, partner: Partner, one: Typed) -> None:
    """A message that fails ends no conversation: what comes next may work."""
    text, command = one
    if command in HELPING:
        asked.output.write_note(format_chat_help(partner.commands))
    elif (known := partner.commands.get(command or "")) is not None:
        asked.output.write_note(runner.run(known.run()))
    elif command is not None:
        asked.output.write_note(_describe_unknown_command(text, "here"))
    elif text.strip():
        try:
            runner.run(partner.answer_message(strip_and_check_text(text)))
        except (ApiError, Unreachable) as error:
            report_failure(error, asked)


def _describe_unknown_command(text: str, where: str) -> str:
    command = text.split()[0]
    return f"There is no command {command} {where}. /help lists them; to say it to the agent, begin with //."


def format_chat_help(commands: Commands) -> str:
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
