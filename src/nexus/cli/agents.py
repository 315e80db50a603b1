"""`nexus agents`: what was built."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK
from nexus.cli.lists import show_list
from nexus.cli.lookup import agent_of
from nexus.cli.output import Columns
from nexus.cli.parsing import Topics, add_list_verb, one_id, topic, verb, whole
from nexus.cli.texts import message_of

if TYPE_CHECKING:
    from nexus.client import Client
    from nexus.wire.agents import AgentView

NAMED = "id, slug or name of the agent"
STATUSES = ("running", "offline", "error", "building", "deploying")
VERDICTS = ("passed", "partial", "failed")


def add(topics: Topics) -> None:
    verbs = topic(topics, "agents", "see, call and delete agents")
    listed = add_list_verb(verbs, list_agents, "the agents, newest first")
    listed.add_argument("--category", help="only those of this category")
    listed.add_argument("--status", choices=STATUSES, help="only those in this state")
    listed.add_argument("--verdict", choices=VERDICTS, help="only those of whose newest version verification said this")
    for name, run, about in (
        ("show", show, "one agent"),
        ("versions", versions, "the versions of an agent and what verification said of them"),
        ("deploy", deploy, "let a version of an agent answer, the newest one unless another is named"),
        ("delete", delete, "delete an agent; its project keeps the files"),
    ):
        parser = verb(verbs, name, about, on_server=run)
        parser.add_argument("agent", type=one_id, help=NAMED)
        if name == "deploy":
            parser.add_argument("--version", type=whole(1, 10**6), metavar="N", help="which one (default: the newest)")
            parser.add_argument("--allow-partial", action="store_true", help="also when it leaves requirements unmet")
            parser.add_argument("--allow-failed", action="store_true", help="also when it failed its verification")
    invoking = verb(verbs, "invoke", "one question, one answer, no session", on_server=invoke)
    invoking.add_argument("agent", type=one_id, help=NAMED)
    invoking.add_argument("message", help="what to say; - reads it from stdin")


async def list_agents(asked: Asked, client: "Client") -> None:
    wanted = asked.arguments
    columns: Columns[AgentView] = {
        "ID": lambda agent: agent.agent_id,
        "SLUG": lambda agent: agent.slug,
        "STATUS": lambda agent: agent.status,
        "VERDICT": lambda agent: agent.verdict or "-",
        "VERSION": lambda agent: agent.active_version or "-",
        "CREATED": lambda agent: agent.created_at[:19],
        "NAME": lambda agent: agent.agent_name,
    }
    await show_list(
        asked,
        client.agents(category=wanted.category).where(
            lambda one: wanted.status in (None, one.status) and wanted.verdict in (None, one.verdict)
        ),
        columns,
        empty=f"There is no such agent. Build one: {asked.command('build', 'what it should do')}",
        lesser=("CREATED", "STATUS", "VERSION"),
    )


async def show(asked: Asked, client: "Client") -> None:
    agent = await agent_of(client, asked.arguments.agent)
    newest = (await client.versions(agent.agent_id).page(1)).items
    asked.output.details(agent, unmet=newest[0].unmet if newest else [])


async def versions(asked: Asked, client: "Client") -> None:
    agent = await agent_of(client, asked.arguments.agent)
    found = await client.versions(agent.agent_id).take()
    columns = {
        "VERSION": lambda version: version.version,
        "ANSWERS": lambda version: "yes" if version.version == agent.active_version else "",
        "VERDICT": lambda version: version.verdict,
        "TESTS": lambda version: f"{version.tests_passed}/{version.tests_run}",
        "BUILD": lambda version: version.build_no,
        "COMMIT": lambda version: (version.commit_id or "")[:12],
        "CREATED": lambda version: version.created_at[:19],
    }
    asked.output.items(found, columns, empty="The agent has no versions.", lesser=("COMMIT", "CREATED", "BUILD"))
    for version in found.items:
        if version.unmet and not asked.output.json:
            asked.output.line("\n  ".join([f"Version {version.version} does not meet:", *version.unmet]))


async def deploy(asked: Asked, client: "Client") -> None:
    from nexus.wire.agents import NewDeployment

    wanted = asked.arguments
    agent = await agent_of(client, wanted.agent)
    accepted = NewDeployment(
        version=wanted.version, accept_partial=wanted.allow_partial, accept_failed=wanted.allow_failed
    )
    deployed = await client.deploy(agent.agent_id, accepted)
    done = f"Version {deployed.version} of {agent.agent_name} answers now. Verification: {deployed.verdict}."
    asked.output.result(deployed, done)
    if not asked.output.json:
        asked.output.note(f"Talk to it: {asked.command('chat', wanted.agent)}")


async def delete(asked: Asked, client: "Client") -> None:
    agent = await agent_of(client, asked.arguments.agent)
    await client.delete_agent(agent.agent_id)
    done = f"Deleted {agent.agent_id} ({agent.agent_name})."
    asked.output.result({"agent_id": agent.agent_id, "deleted": True}, done)


async def invoke(asked: Asked, client: "Client") -> int:
    agent = await agent_of(client, asked.arguments.agent)
    called = await client.invoke(agent.agent_id, message_of(asked.arguments.message, asked.output))
    if asked.output.json:
        asked.output.document(called)
    elif called.status == "success":
        asked.output.line(called.output_text)
    if called.status == "failed":
        asked.output.note(f"nexus: the call failed: {called.error_message}")
        return FAILED
    return OK
