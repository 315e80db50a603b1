"""What a build came to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from nexus.cli.asked import Asked
from nexus.cli.board import Board
from nexus.cli.lookup import reference_of
from nexus.client import Client
from nexus.wire.agents import AgentView


class BuiltAgent(Struct, frozen=True, kw_only=True):
    """`called`: what names this agent alone on a command line, its slug or else its id."""

    agent_id: str
    slug: str
    called: str
    name: str
    version: int
    deployed: bool


class Outcome(Struct, frozen=True, kw_only=True):
    """`good`: built, verified, and answering. `directory` is where its files lie, when that is on this machine."""

    project_id: str
    project_name: str
    status: str
    good: bool
    verdict: str | None
    tests_run: int
    tests_passed: int
    agents: list[BuiltAgent]
    error: dict[str, Any]
    directory: str | None


async def outcome_of(client: Client, project_id: str, board: Board, environ: Mapping[str, str]) -> Outcome:
    project = await client.project(project_id)
    found = [await client.agent(agent_id) for agent_id in project.agent_ids]
    agents = [_built(agent, await reference_of(client, agent)) for agent in found]
    metrics = project.metrics or {}
    verdict = metrics.get("verdict")
    status = board.ending or project.status
    return Outcome(
        project_id=project_id,
        project_name=project.project_name,
        status=status,
        good=status == "completed" and verdict == "passed",
        verdict=verdict,
        tests_run=metrics.get("tests_run", 0),
        tests_passed=metrics.get("tests_passed", 0),
        agents=agents,
        error=board.error or project.error_info or {},
        directory=_directory(project_id, environ),
    )


def _built(agent: AgentView, called: str) -> BuiltAgent:
    return BuiltAgent(
        agent_id=agent.agent_id,
        slug=agent.slug,
        called=called,
        name=agent.agent_name,
        version=agent.versions,
        deployed=agent.active_version == agent.versions,
    )


def _directory(project_id: str, environ: Mapping[str, str]) -> str | None:
    """Found by looking: a server does not tell its paths."""
    place = Path(environ.get("NEXUS_DATA_DIR") or "data") / "projects" / project_id
    return str(place) if place.is_dir() else None


def said(outcome: Outcome, asked: Asked) -> None:
    output = asked.output
    if outcome.status == "completed":
        _completed(outcome, asked)
    elif outcome.status == "failed":
        stage = f" in stage {outcome.error['stage']}" if outcome.error.get("stage") else ""
        output.line(f"The build failed{stage}: {outcome.error.get('message', 'no reason was given')}")
        output.note(f"Try again from there: {asked.command('projects', 'retry', outcome.project_id)}")
    else:
        output.line(f"The build was {outcome.status}.")
        output.note(f"Begin again: {asked.command('projects', 'restart', outcome.project_id)}")


def _completed(outcome: Outcome, asked: Asked) -> None:
    output = asked.output
    tests = f"{outcome.tests_passed} of {outcome.tests_run} tests passed"
    output.line(f"Built: {outcome.project_name}. Verification {outcome.verdict}: {tests}.")
    for agent in outcome.agents:
        where = "answers" if agent.deployed else "is not deployed"
        output.line(f"  {agent.agent_id}  {agent.slug}  {agent.name}: version {agent.version} {where}")
    output.line(f"Files: {outcome.directory or asked.command('projects', 'files', outcome.project_id)}")
    if outcome.good and outcome.agents:
        output.line(f"Talk to it: {asked.command('chat', outcome.agents[0].called)}")
    elif not outcome.good:
        output.line(f"Why: {asked.command('projects', 'report', outcome.project_id)}")
