"""`nexus projects`: what was asked for, and the builds behind it."""

from contextlib import aclosing

from nexus.cli.asked import Asked
from nexus.cli.exits import USAGE, Ended
from nexus.cli.tables import Shape, show_list, show_table
from nexus.cli.watching import follow_build, format_event_line, make_event_json, say_place
from nexus.client import Client
from nexus.wire.lists import Listed

PROJECTS = Shape(
    columns={
        "ID": "project_id",
        "STATUS": "status",
        "VERDICT": lambda project: project.verdict or "-",
        "DONE": lambda project: f"{project.progress:.0f} %",
        "STAGE": "current_stage",
        "CREATED": "created_at",
        "NAME": "project_name",
    },
    lesser=("CREATED", "STAGE", "DONE"),
    empty="There is no such project. Begin one:",
    then=("build", "what it should do"),
)
STAGES = Shape(
    columns={
        "": "stage_number",
        "STAGE": "stage_name",
        "STATUS": "status",
        "ATTEMPT": "attempt",
        "SECONDS": lambda stage: "" if stage.duration_seconds is None else f"{stage.duration_seconds:.1f}",
        "TOKENS": lambda stage: stage.input_tokens + stage.output_tokens,
        "SUMMARY": lambda stage: stage.error_message or (stage.output_data or {}).get("summary", ""),
    },
    lesser=("TOKENS", "ATTEMPT", "SECONDS"),
    empty="The project has no stages.",
)


async def list_projects(asked: Asked, client: Client) -> None:
    await show_list(asked, client.projects(status=asked.arguments.status), PROJECTS)


async def show(asked: Asked, client: Client) -> None:
    project = await client.project(asked.arguments.project)
    asked.output.write_object_fields(project, unmet=(project.metrics or {}).get("unmet", []))


async def stages(asked: Asked, client: Client) -> None:
    show_table(asked, Listed(items=await client.list_build_stages(asked.arguments.project)), STAGES)


async def files(asked: Asked, client: Client) -> None:
    found = await client.list_project_files(asked.arguments.project)
    if found or asked.output.json:
        asked.output.write_result({"items": found, "next_cursor": None}, "\n".join(entry.path for entry in found))
    else:
        asked.output.write_note("The project has no files yet.")


async def cat(asked: Asked, client: Client) -> None:
    path = asked.arguments.path
    if any(part in ("", ".", "..") for part in path.strip("/").split("/")):
        raise Ended(USAGE, f"{path!r} is no path of a project's file.")
    content = await client.fetch_project_file(asked.arguments.project, path)
    if asked.output.json:
        asked.output.write_json_document({"path": path, "content": content.decode(errors="replace")})
    else:
        asked.output.write_file_content(content)


async def report(asked: Asked, client: Client) -> None:
    text = await client.fetch_verification_report(asked.arguments.project)
    asked.output.write_result({"project_id": asked.arguments.project, "report": text}, text.rstrip())


async def watch(asked: Asked, client: Client) -> int:
    return await follow_build(asked, client, await client.project(asked.arguments.project))


async def events(asked: Asked, client: Client) -> None:
    async with aclosing(client.stream_build_events(asked.arguments.project, after=asked.arguments.after)) as found:
        async for event in found:
            if asked.output.json:
                asked.output.write_json_line(make_event_json(event))
            else:
                asked.output.write_text(f"{event.position:>5}  {format_event_line(event)}\n")


async def command(asked: Asked, client: Client) -> None:
    wanted = asked.arguments
    project = await client.send_build_command(wanted.project, wanted.action, from_stage=wanted.from_stage)
    asked.output.write_result(project, f"{project.project_id} is {project.status}; wanted: {project.control_status}.")
    if asked.output.json:
        return
    if project.status == "pending":
        say_place(asked, (await client.project(project.project_id)).position)
    if project.status in ("pending", "queued"):
        asked.output.write_note(f"Follow it: {asked.format_command('projects', 'watch', project.project_id)}")


async def delete(asked: Asked, client: Client) -> None:
    deleted = await client.delete_project(asked.arguments.project, stop_first=asked.arguments.stop_first)
    asked.output.write_result(deleted, f"Deleted {deleted.project_id}; task {deleted.task_id} deletes what it kept.")
