"""Agents: what builds yield, their immutable versions, where they run, and what calls of them cost."""

from typing import Literal

from nexus.domain.core.errors import Conflict, PreconditionFailed
from nexus.domain.core.values import JSON
from nexus.domain.ports.rows import Entity, Row

AgentStatus = Literal["running", "offline", "error", "building", "deploying"]
Visibility = Literal["private", "tenant", "public"]
Verdict = Literal["passed", "partial", "failed"]


class Agent(Entity, frozen=True, kw_only=True):
    """`active_version` is what answers, 0 while nothing is deployed; `verdict` is that of the newest version; `slug` is its folder in the
    project's repository."""

    agent_id: str
    project_id: str
    tenant_id: str
    user_id: str
    visibility: Visibility = "tenant"
    agent_name: str
    slug: str
    description: str = ""
    category: str = "general"
    language: str = "en"
    version: str = "1"
    versions: int = 1
    active_version: int = 0
    verdict: Verdict | None = None
    status: AgentStatus = "offline"
    deployment_type: Literal["local", "agentcore"] = "local"
    capabilities: list[str] = []
    tools: list[str] = []
    prompt_path: str | None = None
    code_path: str | None = None
    created_at: str
    updated_at: str
    deployed_at: str | None = None
    deleted_at: str | None = None


class Version(Row, frozen=True, kw_only=True):
    """An immutable state of an agent: a commit of its project's repository, and what verification said of it.

    `unmet`: a line for each requirement that it does not meet, `FR-2: why`."""

    agent_id: str
    version: int
    tenant_id: str
    project_id: str
    build_no: int
    commit_id: str | None = None
    verdict: Verdict
    tests_run: int = 0
    tests_passed: int = 0
    summary: str = ""
    unmet: list[str] = []
    created_at: str


class Deployment(Row, frozen=True, kw_only=True):
    """A version put where it answers: by the build that made it, or by a user. `verdict` is that of the version, so one that is not `passed`
    was accepted as it is."""

    agent_id: str
    deployment_id: str
    tenant_id: str
    user_id: str | None = None
    version: int
    verdict: Verdict | None = None
    deployment_type: Literal["local", "agentcore"] = "local"
    smoke_test: str = ""
    created_at: str


class Reservation(Row, frozen=True, kw_only=True):
    """A slug that a project has for an agent for which its builder `wanted` a slug."""

    tenant_id: str
    slug: str
    project_id: str
    wanted: str


class Invocation(Row, frozen=True, kw_only=True):
    """One call of an agent and its accounting."""

    invocation_id: str
    agent_id: str
    tenant_id: str
    user_id: str
    session_id: str | None = None
    input_text: str = ""
    output_text: str = ""
    status: Literal["success", "failed"] = "success"
    duration_ms: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    error_message: str | None = None
    created_at: str
    metadata: JSON | None = None


class NotDeployed(PreconditionFailed):
    title = "The agent has no deployed version"


class NotAccepted(Conflict):
    """`facts`: the `verdict` of the version, and the lines of what is `unmet`."""

    title = "The verdict of this version was not accepted"


class NotDeployable(Conflict):
    title = "This version cannot answer"
