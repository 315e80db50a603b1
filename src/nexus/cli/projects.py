"""`nexus projects`: what was asked for, and the builds behind it."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import USAGE, Ended
from nexus.cli.lists import show_list
from nexus.cli.output import Columns
from nexus.cli.parsing import Topics, add_list_verb, one_id, topic, verb, whole

if TYPE_CHECKING:
    from argparse import ArgumentParser

    from nexus.cli.parsing import OnServer
    from nexus.client import Client
    from nexus.wire.projects import ProjectView

STATUSES = ("pending", "queued", "building", "completed", "failed", "paused", "cancelled")
COMMANDS = {
    "pause": "pause the build at its next step",
    "resume": "go on with a paused build",
    "stop": "stop the build for good",
    "retry": "build again from the stage that failed",
    "restart": "build again, from the first stage or a later one",
}


def add(topics: Topics) -> None:
    verbs = topic(topics, "projects", "see, follow and command builds")
    add_list_verb(verbs, list_projects, "the projects, newest first").add_argument(
        "--status", choices=STATUSES, help="only those in this state"
    )
    for name, run, about in (
        ("show", show, "one project"),
        ("stages", stages, "the stages of its current build"),
        ("files", files, "the paths of its files"),
        ("report", report, "what verification found"),
    ):
        _of_project(verbs, name, about, run)
    _of_project(
        verbs, "watch", "show its current build as a board, from the beginning, whether it goes on or is over", watch
    )
    content = _of_project(verbs, "cat", "the content of a file", cat)
    content.add_argument("path", help="path of the file, as `files` shows it")
    followed = _of_project(verbs, "events", "follow the events of the current build up to its end", events)
    followed.add_argument("--after", type=whole(0, 10**8), default=0, help="only those behind this position")
    for name, about in COMMANDS.items():
        commanded = _of_project(verbs, name, about, command)
        commanded.set_defaults(action=name, from_stage=None)
        if name == "restart":
            commanded.add_argument("--from-stage", help="the first stage that is done again")
    gone = _of_project(verbs, "delete", "delete a project with its files and agents", delete)
    gone.add_argument("--stop-first", action="store_true", help="stop its build if it is being built")


def _of_project(verbs: Topics, name: str, about: str, run: "OnServer") -> "ArgumentParser":
    parser = verb(verbs, name, about, on_server=run)
    parser.add_argument("project", type=one_id, help="id of the project")
    return parser


async def list_projects(asked: Asked, client: "Client") -> None:
    columns: Columns[ProjectView] = {
        "ID": lambda project: project.project_id,
        "STATUS": lambda project: project.status,
        "VERDICT": lambda project: project.verdict or "-",
        "DONE": lambda project: f"{project.progress:.0f} %",
        "STAGE": lambda project: project.current_stage or "",
        "CREATED": lambda project: project.created_at[:19],
        "NAME": lambda project: project.project_name,
    }
    await show_list(
        asked,
        client.projects(status=asked.arguments.status),
        columns,
        empty=f"There is no such project. Begin one: {asked.command('build', 'what it should do')}",
        lesser=("CREATED", "STAGE", "DONE"),
    )


async def show(asked: Asked, client: "Client") -> None:
    project = await client.project(asked.arguments.project)
    asked.output.details(project, unmet=(project.metrics or {}).get("unmet", []))


async def stages(asked: Asked, client: "Client") -> None:
    from nexus.wire.lists import Listed

    found = Listed(items=await client.stages(asked.arguments.project))
    columns = {
        "": lambda stage: stage.stage_number,
        "STAGE": lambda stage: stage.stage_name,
        "STATUS": lambda stage: stage.status,
        "ATTEMPT": lambda stage: stage.attempt,
        "SECONDS": lambda stage: "" if stage.duration_seconds is None else f"{stage.duration_seconds:.1f}",
        "TOKENS": lambda stage: stage.input_tokens + stage.output_tokens,
        "SUMMARY": lambda stage: stage.error_message or (stage.output_data or {}).get("summary", ""),
    }
    asked.output.items(found, columns, empty="The project has no stages.", lesser=("TOKENS", "ATTEMPT", "SECONDS"))


async def files(asked: Asked, client: "Client") -> None:
    found = await client.files(asked.arguments.project)
    if found or asked.output.json:
        asked.output.result({"items": found, "next_cursor": None}, "\n".join(entry.path for entry in found))
    else:
        asked.output.note("The project has no files yet.")


async def cat(asked: Asked, client: "Client") -> None:
    path = asked.arguments.path
    if any(part in ("", ".", "..") for part in path.strip("/").split("/")):
        raise Ended(USAGE, f"{path!r} is no path of a project's file.")
    content = await client.file(asked.arguments.project, path)
    if asked.output.json:
        asked.output.document({"path": path, "content": content.decode(errors="replace")})
    else:
        asked.output.raw(content)


async def report(asked: Asked, client: "Client") -> None:
    text = await client.report(asked.arguments.project)
    asked.output.result({"project_id": asked.arguments.project, "report": text}, text.rstrip())


async def watch(asked: Asked, client: "Client") -> int:
    from nexus.cli.following import follow_build

    return await follow_build(asked, client, await client.project(asked.arguments.project))


async def events(asked: Asked, client: "Client") -> None:
    from contextlib import aclosing

    from nexus.cli.watching import as_json, as_line

    async with aclosing(client.project_events(asked.arguments.project, after=asked.arguments.after)) as found:
        async for event in found:
            if asked.output.json:
                asked.output.json_line(as_json(event))
            else:
                asked.output.text(f"{event.position:>5}  {as_line(event)}\n")


async def command(asked: Asked, client: "Client") -> None:
    wanted = asked.arguments
    project = await client.control(wanted.project, wanted.action, from_stage=wanted.from_stage)
    asked.output.result(project, f"{project.project_id} is {project.status}; wanted: {project.control_status}.")
    if asked.output.json:
        return
    if project.status == "pending":
        from nexus.cli.following import say_place

        say_place(asked, (await client.project(project.project_id)).position)
    if project.status in ("pending", "queued"):
        asked.output.note(f"Follow it: {asked.command('projects', 'watch', project.project_id)}")


async def delete(asked: Asked, client: "Client") -> None:
    deleted = await client.delete_project(asked.arguments.project, stop_first=asked.arguments.stop_first)
    asked.output.result(deleted, f"Deleted {deleted.project_id}; task {deleted.task_id} deletes what it kept.")
