"""The way of a conversation on the command line: what is said one after the other, commands, and two Ctrl-C to leave."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.cli.prompt import QUOTES, Read, Typed, everything_typed, read_entry, reader
from nexus.cli.texts import check_text, message_of

LEAVING = frozenset({"exit", "quit", "bye"})
HELPING = frozenset({"help", "?", "h"})
INTERRUPTED_ONCE = "(Ctrl-C again leaves, and so do Ctrl-D and /exit.)"


class Command(NamedTuple):
    """What is read_entry as `/name`; `run` may answer a sentence for people."""

    about: str
    run: Callable[[], str | None]


Commands = Mapping[str, Command]
Send = Callable[[str], str]
"""Says one thing; the tag of the event that ended the reply to it."""


def _read_messages(asked: Asked, commands: Commands) -> list[str]:
    """The messages that the command line or a pipe holds, up to `/exit`. Ended for none, and for a command that is not known."""
    if asked.arguments.message:
        return [message_of(text, asked.output) for text in asked.arguments.message]
    messages = list[str]()
    for one in everything_typed(asked.output):
        if one.command in LEAVING:
            break
        if one.command in HELPING:
            asked.output.note(help_for(commands))
        elif one.command is not None:
            raise Ended(USAGE, _unknown(one.text, "in a pipe"))
        elif one.text.strip():
            messages.append(check_text(one.text))
    if not messages:
        raise Ended(USAGE, "There is nothing to say: use --message, or write to stdin.")
    return messages


def is_typed(asked: Asked) -> bool:
    """Whether somebody sits there and types what is said."""
    return asked.output.is_interactive and not asked.arguments.message


def converse(asked: Asked, commands: Commands, send: Send) -> int:
    """Says what is read_entry until the end of input, or what the command line or a pipe holds up to what fails. KeyboardInterrupt when somebody
    presses Ctrl-C twice at the prompt, or once where nobody types."""
    if not is_typed(asked):
        return _recite(_read_messages(asked, commands), send)
    read = reader(asked.output)
    asked.output.note("/help lists what you can do here. Ctrl-C stops a reply, Ctrl-D or /exit leaves.")
    while True:
        try:
            one = _typed_or_twice_interrupted(asked, read)
            if one is None or one.command in LEAVING:
                return OK
            _take(asked, commands, send, one)
        except Ended as refused:
            asked.output.note(f"nexus: {refused.sentence}")


def _recite(messages: list[str], send: Send) -> int:
    for message in messages:
        ending = send(message)
        if ending == "reply.cancelled":
            raise KeyboardInterrupt
        if ending != "reply.completed":
            return FAILED
    return OK


def _typed_or_twice_interrupted(asked: Asked, read: Read) -> Typed | None:
    """The first Ctrl-C gives up the line and says what a second one does."""
    try:
        return read_entry(read)
    except KeyboardInterrupt:
        asked.output.note(f"\n{INTERRUPTED_ONCE}")
        return read_entry(read)


def _take(asked: Asked, commands: Commands, send: Send, one: Typed) -> None:
    text, command = one
    if command is None:
        if text.strip():
            _send(asked, send, check_text(text))
    elif command in HELPING:
        asked.output.note(help_for(commands))
    elif (known := commands.get(command)) is not None:
        asked.output.note(known.run() or "")
    else:
        asked.output.note(_unknown(text, "here"))


def _send(asked: Asked, send: Send, message: str) -> None:
    """A message that fails ends no conversation: what comes next may work."""
    from nexus.cli.failures import tell
    from nexus.client import ApiError, Unreachable

    try:
        send(message)
    except (ApiError, Unreachable) as error:
        tell(error, asked)


def _unknown(text: str, where: str) -> str:
    command = text.split()[0]
    return f"There is no command {command} {where}. /help lists them; to say it to the agent, begin with //."


def help_for(commands: Commands) -> str:
    """What can be read_entry."""
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
