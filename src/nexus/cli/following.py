"""A build before one's eyes: from its first event to what it came to, whoever began it and whenever."""

import asyncio
from contextlib import aclosing

from nexus.cli.asked import Asked
from nexus.cli.board import Board, ahead, board_of
from nexus.cli.verdicts import outcome_of, report_outcome
from nexus.cli.watching import watch_build
from nexus.client import Client
from nexus.wire.projects import ProjectStarted, ProjectView


async def follow_build(asked: Asked, client: Client, project: ProjectStarted | ProjectView) -> int:
    """Shows the current build from its beginning to its end."""
    project_id = project.project_id
    asked.output.note(f"{project.project_name} ({project_id})")
    say_place(asked, project.position)
    board = board_of(await client.stages(project_id))

    async def position() -> int | None:
        return (await client.project(project_id)).position

    try:
        async with aclosing(client.project_events(project_id)) as events:
            await watch_build(events, board, asked.output, position=position)
    except asyncio.CancelledError:
        asked.output.note(_interruption_note(asked, project_id))
        raise
    return await _verdict(asked, client, project_id, board)


async def _verdict(asked: Asked, client: Client, project_id: str, board: Board) -> int:
    outcome = await outcome_of(client, project_id, board, asked.settings_environ)
    if asked.output.json:
        asked.output.json_line({"event": "result", "data": outcome})
    else:
        report_outcome(outcome, asked)
    return outcome.code


def say_place(asked: Asked, before: int | None) -> None:
    """Says that a build waits for a place."""
    if before is not None:
        asked.output.note(f"It waits for a place: {ahead(before)}.")


def ways_to_go_on(asked: Asked, project_id: str) -> str:
    """How to go on with a build that is not watch_build."""
    watch, stop = (asked.command("projects", verb, project_id) for verb in ("watch", "stop"))
    return f"Follow it: {watch}\nStop it:   {stop}"


def _interruption_note(asked: Asked, project_id: str) -> str:
    if asked.owns_server:
        return f"Interrupted. The build goes on where it was as soon as a server runs again: {asked.command('serve')}"
    return f"Interrupted here; the build goes on on the server.\n{ways_to_go_on(asked, project_id)}"
