"""What a build's findings make of an agent's rows."""

from typing import Any

from msgspec import Struct, structs

from nexus.domain.agents.model import Agent, Deployment, Verdict, Version
from nexus.domain.agents.package import Package
from nexus.domain.ports.notifications import Notification


class Origin(Struct, frozen=True, kw_only=True):
    """The build that an agent comes from, and whose it is."""

    project_id: str
    build_no: int
    tenant_id: str
    user_id: str


class Registration(Struct, frozen=True, kw_only=True):
    """What verification found out about one agent of a build."""

    package: Package
    folder: str
    commit_id: str | None
    verdict: Verdict
    tests_run: int
    tests_passed: int
    summary: str
    unmet: list[str] = []


def make_agent_fields(found: Registration, number: int, *, now: str) -> dict[str, Any]:
    """The fields of an agent that follow from its newest package."""
    identity, refs = found.package.manifest.agent, [entry.ref for entry in found.package.manifest.tools]
    return {
        "description": identity.description,
        "category": identity.category,
        "language": identity.language,
        "tools": refs,
        "capabilities": [ref.rpartition(":")[2] for ref in refs],
        "prompt_path": f"{found.folder}/prompt.md",
        "code_path": found.folder,
        "versions": number,
        "verdict": found.verdict,
        "updated_at": now,
    }


def make_agent(agent_id: str, origin: Origin, found: Registration, fields: dict[str, Any]) -> Agent:
    identity = found.package.manifest.agent
    return Agent(
        agent_id=agent_id,
        project_id=origin.project_id,
        tenant_id=origin.tenant_id,
        user_id=origin.user_id,
        agent_name=identity.name,
        slug=identity.slug,
        created_at=fields["updated_at"],
        **fields,
    )


def make_version(agent_id: str, number: int, origin: Origin, found: Registration, now: str) -> Version:
    facts = structs.asdict(origin) | structs.asdict(found)
    shared = {name: facts[name] for name in Version.__struct_fields__ if name in facts}
    return Version(agent_id=agent_id, version=number, created_at=now, **shared)


def explain_deploy_refusal(
    version: Version, *, accept_partial: bool = False, accept_failed: bool = False
) -> str | None:
    """Why a version may not be deployed, as a sentence; None when it may."""
    accepted = {"passed": True, "partial": accept_partial, "failed": accept_failed}
    if accepted[version.verdict]:
        return None
    reasons = "; ".join(version.unmet) or version.summary or "no reason was given"
    return f"Version {version.version} is {version.verdict}, which was not accepted: {reasons}"


def make_deployment_notification(agent: Agent, deployment: Deployment, *, build_no: int | None = None) -> Notification:
    """What is told outside of a version that answers from now on. `build_no` where a build put it there."""
    return Notification(
        type="agent.deployed",
        tenant_id=agent.tenant_id,
        user_id=deployment.user_id,
        project_id=agent.project_id,
        build_no=build_no,
        agent_ids=[agent.agent_id],
        version=deployment.version,
        status="running",
        at=deployment.created_at,
    )
