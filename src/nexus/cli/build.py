"""`nexus build`: from a sentence to an agent, before one's eyes."""

from functools import partial

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, USAGE, Ended
from nexus.cli.prompt import read_file_or_stdin, read_text_or_stdin
from nexus.cli.servers import on_server
from nexus.cli.watching import describe_ways_on, follow_build, say_place
from nexus.client import Client


def build(asked: Asked) -> int:
    """What is wrong with the words is said before any server is looked for."""
    wanted = asked.arguments
    if wanted.detach and wanted.serve:
        raise Ended(USAGE, "--detach leaves the work to a server, --serve stops it at the end: use one of them.")
    file = wanted.requirement_file
    requirement = (
        read_file_or_stdin(file, asked.output) if file else read_text_or_stdin(wanted.requirement, asked.output)
    )
    return on_server(asked, partial(_start_and_follow_build, requirement=requirement))


async def _start_and_follow_build(asked: Asked, client: Client, requirement: str) -> int:
    wanted = asked.arguments
    started = await client.create_project(
        requirement, name=wanted.name, priority=wanted.priority, tags=wanted.tag, accept_partial=wanted.allow_partial
    )
    if not wanted.detach:
        return await follow_build(asked, client, started)
    asked.output.write_result(started, started.project_id)
    if not asked.output.json:
        say_place(asked, started.position)
        asked.output.write_note(describe_ways_on(asked, started.project_id))
    return OK
