"""How topics and verbs are declared to argparse."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from nexus.cli.asked import Asked

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from nexus.client import Client

    Topics = _SubParsersAction[ArgumentParser]
else:
    Topics = Any

Local = Callable[[Asked], int]
OnServer = Callable[[Asked, "Client"], Awaitable[int | None]]
"""A command that is handed a client; its exit code, or None where all went well."""


def shared_options() -> ArgumentParser:
    """The options that stand before or after a verb alike."""
    options = ArgumentParser(add_help=False, argument_default=SUPPRESS)
    group = options.add_argument_group("options of every command")
    group.add_argument("--url", help="the server (default: NEXUS_URL, or http://127.0.0.1:8000)")
    group.add_argument("--token", help="the bearer token; better in NEXUS_TOKEN, where other users do not see it")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout; JSON lines for streams")
    return options


def topic(topics: Topics, name: str, about: str) -> Topics:
    parser = topics.add_parser(name, help=about, description=about, parents=[shared_options()])
    return parser.add_subparsers(metavar="VERB", required=True)


def verb(
    verbs: Topics, name: str, about: str, *, local: Local | None = None, on_server: OnServer | None = None
) -> ArgumentParser:
    """A command or a verb of one: it runs here, or is handed a client."""
    parser = verbs.add_parser(name, help=about, description=about, parents=[shared_options()])
    if on_server is not None:
        may_serve(parser)
        parser.set_defaults(on_server=on_server)
    else:
        parser.set_defaults(run=local)
    return parser


def may_serve(parser: ArgumentParser) -> None:
    parser.add_argument("--serve", action="store_true", help="if no server answers, start one for this command")


def add_verbs(
    verbs: Topics, thing: str, about_thing: str, *entries: tuple[str, str, OnServer]
) -> dict[str, ArgumentParser]:
    """Verbs of one thing: the name of each, what it is about, and what it does. Their parsers by name."""
    parsers = {name: verb(verbs, name, about, on_server=run) for name, about, run in entries}
    for parser in parsers.values():
        parser.add_argument(thing, type=one_id, help=about_thing)
    return parsers


def add_list_verb(verbs: Topics, about: str, on_server: OnServer) -> ArgumentParser:
    """The verb `list`."""
    parser = verb(verbs, "list", about, on_server=on_server)
    many = parser.add_mutually_exclusive_group()
    many.add_argument("--limit", type=whole(1, 10_000), default=50, metavar="N", help="how many at most (default: 50)")
    many.add_argument("--all", action="store_true", help="every one")
    return parser


def say_options(parser: ArgumentParser) -> None:
    """What is said where nobody types, and how answers are shown."""
    parser.add_argument(
        "--message", action="extend", nargs="+", default=[], metavar="TEXT",
        help="say this and leave; several are said one after the other; - reads one from stdin",
    )  # fmt: skip
    parser.add_argument("--raw", action="store_true", help="show answers as they are written, Markdown included")


def whole(least: int, most: int) -> Callable[[str], int]:
    """The type of an option: a whole number within bounds."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text[:9]) <= most:
            raise ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return number


def one_id(text: str) -> str:
    """The type of an id: anything that the server may judge."""
    if not text.strip() or text in (".", ".."):
        raise ArgumentTypeError(f"{text!r} is no id")
    return text
