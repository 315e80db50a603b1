"""`nexus agents`: what was built."""

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK
from nexus.cli.lookup import get_agent_by_reference
from nexus.cli.prompt import read_text_or_stdin
from nexus.cli.tables import Shape, show_list, show_table
from nexus.client import Client
from nexus.wire.agents import NewDeployment

AGENTS = Shape(
    columns={
        "ID": "agent_id",
        "SLUG": "slug",
        "STATUS": "status",
        "VERDICT": lambda agent: agent.verdict or "-",
        "VERSION": lambda agent: agent.active_version or "-",
        "CREATED": "created_at",
        "NAME": "agent_name",
    },
    lesser=("CREATED", "STATUS", "VERSION"),
    empty="There is no such agent. Build one:",
    then=("build", "what it should do"),
)


async def list_agents(asked: Asked, client: Client) -> None:
    wanted = asked.arguments
    found = client.list_agents(category=wanted.category).filter_items(
        lambda one: wanted.status in (None, one.status) and wanted.verdict in (None, one.verdict)
    )
    await show_list(asked, found, AGENTS)


async def show(asked: Asked, client: Client) -> None:
    agent = await get_agent_by_reference(client, asked.arguments.agent)
    newest = (await client.list_agent_versions(agent.agent_id).fetch_page(1)).items
    asked.output.write_object_fields(agent, unmet=newest[0].unmet if newest else [])


async def versions(asked: Asked, client: Client) -> None:
    agent = await get_agent_by_reference(client, asked.arguments.agent)
    found = await client.list_agent_versions(agent.agent_id).fetch_items()
    shape = Shape(
        columns={
            "VERSION": "version",
            "ANSWERS": lambda version: "yes" if version.version == agent.active_version else "",
            "VERDICT": "verdict",
            "TESTS": lambda version: f"{version.tests_passed}/{version.tests_run}",
            "BUILD": "build_no",
            "COMMIT": lambda version: (version.commit_id or "")[:12],
            "CREATED": "created_at",
        },
        lesser=("COMMIT", "CREATED", "BUILD"),
        empty="The agent has no versions.",
    )
    show_table(asked, found, shape)
    for version in found.items:
        if version.unmet and not asked.output.json:
            asked.output.write_line("\n  ".join([f"Version {version.version} does not meet:", *version.unmet]))


async def deploy(asked: Asked, client: Client) -> None:
    wanted = asked.arguments
    agent = await get_agent_by_reference(client, wanted.agent)
    accepted = NewDeployment(
        version=wanted.version, accept_partial=wanted.allow_partial, accept_failed=wanted.allow_failed
    )
    deployed = await client.deploy(agent.agent_id, accepted)
    done = f"Version {deployed.version} of {agent.agent_name} answers now. Verification: {deployed.verdict}."
    asked.output.write_result(deployed, done)
    if not asked.output.json:
        asked.output.write_note(f"Talk to it: {asked.format_command('chat', wanted.agent)}")


async def delete(asked: Asked, client: Client) -> None:
    agent = await get_agent_by_reference(client, asked.arguments.agent)
    await client.delete_agent(agent.agent_id)
    done = f"Deleted {agent.agent_id} ({agent.agent_name})."
    asked.output.write_result({"agent_id": agent.agent_id, "deleted": True}, done)


async def invoke(asked: Asked, client: Client) -> int:
    agent = await get_agent_by_reference(client, asked.arguments.agent)
    called = await client.invoke(agent.agent_id, read_text_or_stdin(asked.arguments.message, asked.output))
    if asked.output.json:
        asked.output.write_json_document(called)
    elif called.status == "success":
        asked.output.write_line(called.output_text)
    if called.status == "failed":
        asked.output.write_note(f"nexus: the call failed: {called.error_message}")
        return FAILED
    return OK
