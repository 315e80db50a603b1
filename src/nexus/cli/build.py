"""`nexus build`: from a sentence to an agent, before one's eyes."""

from dataclasses import replace
from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, USAGE, Ended
from nexus.cli.parsing import Topics, may_serve, verb, whole
from nexus.cli.texts import content_of, message_of

if TYPE_CHECKING:
    from nexus.client import Client
    from nexus.wire.projects import ProjectStarted


def add(topics: Topics) -> None:
    parser = verb(topics, "build", "describe an agent in a sentence and watch it being built", local=build)
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("requirement", nargs="?", help="what the agent is to do; - reads it from stdin")
    asked.add_argument("--requirement-file", metavar="FILE", help="read what it is to do from a file; - is stdin")
    parser.add_argument("--name", help="what the project is called")
    parser.add_argument("--priority", type=whole(1, 5), default=3, help="1 to 5, 5 is built first (default: 3)")
    parser.add_argument("--tag", action="append", default=[], help="a tag of the project; as often as wanted")
    parser.add_argument("--detach", action="store_true", help="do not wait: print the project and return")
    may_serve(parser)
    parser.add_argument("--allow-partial", action="store_true", help="deploy it also when it leaves requirements unmet")


def build(asked: Asked) -> int:
    from nexus.cli.connection import run_with_client

    return run_with_client(asked, _run_build)


async def _run_build(asked: Asked, client: "Client") -> int:
    from nexus.cli.following import follow_build
    from nexus.cli.servers import server_for

    wanted = asked.arguments
    if wanted.detach and wanted.serve:
        raise Ended(USAGE, "--detach leaves the work to a server, --serve stops it at the end: use one of them.")
    requirement = _requirement(asked)
    async with server_for(asked, client) as own:
        started = await client.create_project(
            requirement,
            name=wanted.name,
            priority=wanted.priority,
            tags=wanted.tag,
            accept_partial=wanted.allow_partial,
        )
        if wanted.detach:
            return _leave_to_server(asked, started)
        return await follow_build(replace(asked, owns_server=own), client, started)


def _requirement(asked: Asked) -> str:
    wanted = asked.arguments
    if wanted.requirement_file:
        return content_of(wanted.requirement_file, asked.output)
    return message_of(wanted.requirement, asked.output)


def _leave_to_server(asked: Asked, started: "ProjectStarted") -> int:
    from nexus.cli.following import say_place, ways_to_go_on

    asked.output.result(started, started.project_id)
    if not asked.output.json:
        say_place(asked, started.position)
        asked.output.note(ways_to_go_on(asked, started.project_id))
    return OK
