"""A build before one's eyes, whoever began it: a board that lives on a terminal, lines for a log, JSON lines for a program."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nexus.cli.asked import Asked
from nexus.cli.board import MARKS, Board, Stage, format_queue_position, make_build_board
from nexus.cli.output import Output
from nexus.cli.terminal import truncate_to_one_line
from nexus.cli.verdicts import fetch_build_outcome, report_outcome
from nexus.client import ApiError, Client, Event, Unreachable
from nexus.wire.projects import ProjectStarted, ProjectView

if TYPE_CHECKING:
    from rich.console import RenderableType

View = Callable[[Event, Stage | None], None]
"""Shows an event, and the stage it is about, once the board has it."""
STYLES = {
    "pending": "dim",
    "running": "bold cyan",
    "completed": "green",
    "partial": "yellow",
    "failed": "bold red",
    "skipped": "yellow",
}
WIDTH = 24
NARROW = 60
LOOK_SECONDS = 5.0


async def follow_build(asked: Asked, client: Client, project: ProjectStarted | ProjectView) -> int:
    """Shows the current build from its beginning to its end."""
    project_id = project.project_id
    asked.output.write_note(f"{project.project_name} ({project_id})")
    say_place(asked, project.position)
    board = make_build_board(await client.list_build_stages(project_id))

    async def position() -> int | None:
        return (await client.project(project_id)).position

    looking = asyncio.ensure_future(refresh_queue_position(board, position))
    try:
        await _show_build_events(client.stream_build_events(project_id), board, asked.output)
    except asyncio.CancelledError:
        asked.output.write_note(_describe_interrupted_build(asked, project_id))
        raise
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    outcome = await fetch_build_outcome(client, project_id, board, asked.settings_environ)
    if asked.output.json:
        asked.output.write_json_line({"event": "result", "data": outcome})
    else:
        report_outcome(outcome, asked)
    return outcome.exit_code


def say_place(asked: Asked, before: int | None) -> None:
    """Says that a build waits for a place."""
    if before is not None:
        asked.output.write_note(f"It waits for a place: {format_queue_position(before)}.")


def describe_ways_on(asked: Asked, project_id: str) -> str:
    """How to go on with a build that is not watched."""
    watch, stop = (asked.format_command("projects", verb, project_id) for verb in ("watch", "stop"))
    return f"Follow it: {watch}\nStop it:   {stop}"


def _describe_interrupted_build(asked: Asked, project_id: str) -> str:
    if asked.owns_server:
        return f"Interrupted. The build goes on where it was as soon as a server runs again: {asked.format_command('serve')}"
    return f"Interrupted here; the build goes on on the server.\n{describe_ways_on(asked, project_id)}"


async def _show_build_events(events: AsyncGenerator[Event, None], board: Board, output: Output) -> None:
    """Every event as it comes, up to the one that ends the build."""
    async with aclosing(events):
        with _open_build_view(board, output) as show:
            async for event in events:
                show(event, board.apply_event(event))


async def refresh_queue_position(
    board: Board, position: Callable[[], Awaitable[int | None]], *, every: float = LOOK_SECONDS
) -> None:
    """Keeps up to date how many are before a build that is held: no event tells that they became fewer."""
    while True:
        await asyncio.sleep(every)
        if board.before is not None:
            with suppress(ApiError, Unreachable):  # the events tell that the server is away
                now = await position()
                board.before = now if board.state == "pending" and now is not None else board.before


@contextmanager
def _open_build_view(board: Board, output: Output) -> Iterator[View]:
    if output.json:
        yield lambda event, _: output.write_json_line(make_event_json(event))
    elif not output.stderr.isatty():
        yield lambda event, stage: _print_build_event(output, board, event, stage)
    else:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=output.stderr)
        with Live(
            get_renderable=lambda: render_build_board(board, is_narrow=console.width < NARROW),
            console=console,
            refresh_per_second=8,
        ):
            yield lambda *_: None


def make_event_json(event: Event) -> dict[str, Any]:
    return {"event": event.tag, "position": event.position, "data": event.data}


def format_event_line(event: Event) -> str:
    """An event for people, on one line."""
    told = {name: value for name, value in event.data.items() if name not in ("type", "at") and value is not None}
    words = " ".join(f"{name}={value}" for name, value in told.items())
    return truncate_to_one_line(f"{event.tag}  {words}", 300)


def _print_build_event(output: Output, board: Board, event: Event, stage: Stage | None) -> None:
    if stage is None:
        output.write_note(f"build {board.state_text}")
        return
    match event.tag:
        case "stage.started":
            again = f" (attempt {stage.attempt})" if stage.attempt > 1 else ""
            output.write_note(f"[{stage.number}/{len(board.stages)}] {stage.title}{again} …")
        case "stage.log" | "stage.retried":
            output.write_note(f"      {truncate_to_one_line(stage.line)}")
        case "stage.completed" | "stage.skipped" | "stage.failed":
            took = f" {stage.seconds:.1f} s" if stage.seconds is not None else ""
            output.write_note(
                f"      {MARKS[stage.status_or_verdict]} {stage.status_or_verdict}{took}  {truncate_to_one_line(stage.line)}".rstrip()
            )


def render_build_board(board: Board, *, is_narrow: bool = False) -> "RenderableType":
    """The board as it stands; where it `is_narrow`, marks alone tell the states."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1 if is_narrow else 2), expand=True)
    for justify in ("right", "left", "left", "right", "right"):
        table.add_column(justify=justify, no_wrap=True)
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    for stage in board.stages.values():
        seconds = board.compute_stage_seconds(stage)
        style = STYLES[stage.status_or_verdict]
        table.add_row(
            Text(str(stage.number), style="dim"),
            Text(f"{MARKS[stage.status_or_verdict]} {truncate_to_one_line(stage.title, 40)}", style=style),
            Text("" if is_narrow else stage.status_or_verdict, style=style),
            Text(f"×{stage.attempt}" if stage.attempt > 1 else "", style="yellow"),
            Text("" if seconds is None else f"{seconds:.1f} s", style="dim"),
            Text(truncate_to_one_line(stage.line), style="dim"),
        )
    done = round(board.progress / 100 * WIDTH)
    bar = Text.assemble(
        ("━" * done, "green"), ("━" * (WIDTH - done), "dim"), f"  {board.progress:.0f} %  {board.state_text}"
    )
    return Group(table, bar)
