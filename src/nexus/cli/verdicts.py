"""What a build came to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from nexus.cli.asked import Asked
from nexus.cli.board import Board
from nexus.cli.exits import FAILED, OK, PARTIAL
from nexus.cli.lookup import choose_agent_slug_or_id
from nexus.client import Client


class BuiltAgent(Struct, frozen=True, kw_only=True):
    """`called`: what names this agent alone on a command line, its slug or else its id; `verdict` is that of `version`, its newest one."""

    agent_id: str
    slug: str
    called: str
    name: str
    version: int
    verdict: str | None
    deployed: bool


class Outcome(Struct, frozen=True, kw_only=True):
    """`good`: built, and nothing is missing; `unmet` are the requirements that are. `directory` is where its files lie, when that is on this
    machine: found by looking, a server does not tell its paths."""

    project_id: str
    project_name: str
    status: str
    good: bool
    verdict: str | None
    tests_run: int
    tests_passed: int
    unmet: list[str]
    agents: list[BuiltAgent]
    error: dict[str, Any]
    directory: str | None

    @property
    def exit_code(self) -> int:
        """The exit code that tells it."""
        is_partial = self.status == "completed" and self.verdict == "partial"
        return OK if self.good else PARTIAL if is_partial else FAILED


async def fetch_build_outcome(client: Client, project_id: str, board: Board, environ: Mapping[str, str]) -> Outcome:
    project = await client.project(project_id)
    metrics, status = project.metrics or {}, board.ending or project.status
    directory = Path(environ.get("NEXUS_DATA_DIR") or "data") / "projects" / project_id
    return Outcome(
        project_id=project_id,
        project_name=project.project_name,
        status=status,
        good=status == "completed" and project.verdict == "passed",
        verdict=project.verdict,
        tests_run=metrics.get("tests_run", 0),
        tests_passed=metrics.get("tests_passed", 0),
        unmet=metrics.get("unmet", []) if project.verdict else [],
        agents=[await _fetch_built_agent(client, agent_id) for agent_id in project.agent_ids],
        error=board.error or project.error_info or {},
        directory=str(directory) if directory.is_dir() else None,
    )


async def _fetch_built_agent(client: Client, agent_id: str) -> BuiltAgent:
    agent = await client.fetch_agent(agent_id)
    return BuiltAgent(
        agent_id=agent_id,
        slug=agent.slug,
        called=await choose_agent_slug_or_id(client, agent),
        name=agent.agent_name,
        version=agent.versions,
        verdict=agent.verdict,
        deployed=agent.active_version == agent.versions,
    )


def report_outcome(outcome: Outcome, asked: Asked) -> None:
    output = asked.output
    if outcome.status == "completed":
        _print_completed_build(outcome, asked)
    elif outcome.status == "failed":
        stage = f" in stage {outcome.error['stage']}" if outcome.error.get("stage") else ""
        reason = asked.replace_program_name(outcome.error.get("message") or "no reason was given")
        output.write_line(f"The build failed{stage}: {reason}")
        output.write_note(f"Try again from there: {asked.format_command('projects', 'retry', outcome.project_id)}")
    else:
        output.write_line(f"The build was {outcome.status}.")
        output.write_note(f"Begin again: {asked.format_command('projects', 'restart', outcome.project_id)}")


def _print_completed_build(outcome: Outcome, asked: Asked) -> None:
    output = asked.output
    tests = f"{outcome.tests_passed} of {outcome.tests_run} tests passed"
    output.write_line(f"Built: {outcome.project_name}. Verification {outcome.verdict}: {tests}.")
    if outcome.unmet:
        output.write_line("\n  ".join(["Not met:", *outcome.unmet]))
    for agent in outcome.agents:
        where = "answers" if agent.deployed else "is not deployed"
        output.write_line(f"  {agent.agent_id}  {agent.slug}  version {agent.version} {where}")
    output.write_line(f"Files: {outcome.directory or asked.format_command('projects', 'files', outcome.project_id)}")
    if not outcome.good:
        output.write_line(f"Why: {asked.format_command('projects', 'report', outcome.project_id)}")
    for agent in outcome.agents:
        if not agent.deployed and agent.verdict:
            output.write_line(f"Deploy it all the same: {deploy_command(asked, agent.called, agent.verdict)}")
    if answering := [agent for agent in outcome.agents if agent.deployed]:
        output.write_line(f"Talk to it: {asked.format_command('chat', answering[0].called)}")


def deploy_command(asked: Asked, called: str, verdict: str, version: int | None = None) -> str:
    """The command that deploys a version of this verdict, the newest one where none is named."""
    named = [] if version is None else ["--version", str(version)]
    accepting = [] if verdict == "passed" else [f"--allow-{verdict}"]
    return asked.format_command("agents", "deploy", called, *named, *accepting)
