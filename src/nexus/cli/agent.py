"""`nexus agent run` and `test`: a package alone, without a server and without a store."""

from pathlib import Path
from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.conversation import Command, converse
from nexus.cli.exits import USAGE, Ended
from nexus.cli.parsing import Topics, say_options, topic, verb

if TYPE_CHECKING:
    import asyncio

    from nexus.cli.alone import Alone


FOLDER = "the folder that holds agent.toml"


def add(topics: Topics) -> None:
    verbs = topic(topics, "agent", "run or test an agent package from its folder")
    parser = verb(verbs, "run", "talk to the package in a folder, without a server", local=run)
    parser.add_argument("directory", metavar="DIR", help=FOLDER)
    say_options(parser)
    tested = verb(verbs, "test", "run the unit tests and the behavioural cases of the package in a folder", local=test)
    tested.add_argument("directory", metavar="DIR", help=FOLDER)


def run(asked: Asked) -> int:
    import asyncio
    from contextlib import AsyncExitStack

    from nexus.cli.alone import Alone
    from nexus.cli.replies import leave
    from nexus.providers.choice import read_settings
    from nexus.standalone import open_agent

    directory, found = _folder(asked), read_settings(asked.settings_environ)
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        try:
            opened = runner.run(stack.enter_async_context(open_agent(directory, found)))
            alone = Alone(runtime=opened.runtime, spec=opened.spec, output=asked.output)
            return _hold_conversation(asked, runner, alone)
        finally:
            runner.run(leave(stack))


def test(asked: Asked) -> int:
    import asyncio

    from nexus.cli.trying import try_package
    from nexus.providers.choice import read_settings

    return asyncio.run(try_package(asked.output, _folder(asked), read_settings(asked.settings_environ)))


def _folder(asked: Asked) -> Path:
    directory = Path(asked.arguments.directory)
    if not (directory / "agent.toml").is_file():
        raise Ended(USAGE, f"{directory} holds no agent.toml: it is no agent package.")
    return directory


def _hold_conversation(asked: Asked, runner: "asyncio.Runner", alone: "Alone") -> int:
    def send(message: str) -> str:
        try:
            return runner.run(alone.answer(message))
        except KeyboardInterrupt:
            asked.output.dim("(stopped)")
            return "reply.cancelled"

    return converse(asked, {"new": Command("forget what was said so far", alone.forget)}, send)
