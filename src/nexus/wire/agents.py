"""Agents, their versions, and calls of them."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from nexus.wire.sessions import Content
from nexus.wire.values import JSON

Visibility = Literal["private", "tenant", "public"]
Verdict = Literal["passed", "partial", "failed"]


class AgentChanges(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Fields that are not sent stay as they are."""

    agent_name: Annotated[str, Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    description: Annotated[str, Meta(max_length=2_000)] | UnsetType = UNSET
    category: Annotated[str, Meta(min_length=1, max_length=50)] | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET


class AgentView(Struct, frozen=True, kw_only=True):
    """`active_version` is what answers, 0 while nothing is deployed; `verdict` is what verification said of the newest version; `slug` is
    its folder in the project's files."""

    agent_id: str
    project_id: str
    user_id: str
    visibility: Visibility
    agent_name: str
    slug: str
    description: str
    category: str
    language: str
    version: str
    versions: int
    active_version: int
    verdict: Verdict | None
    status: Literal["running", "offline", "error", "building", "deploying"]
    deployment_type: Literal["local", "agentcore"]
    capabilities: list[str]
    tools: list[str]
    prompt_path: str | None
    code_path: str | None
    created_at: str
    updated_at: str
    deployed_at: str | None


class VersionView(Struct, frozen=True, kw_only=True):
    """An immutable state of an agent, and what verification said of it: `partial` does what it claims and leaves requirements `unmet`, a
    line each (`FR-2: why`)."""

    agent_id: str
    version: int
    project_id: str
    build_no: int
    commit_id: str | None
    verdict: Verdict
    tests_run: int
    tests_passed: int
    summary: str
    unmet: list[str]
    created_at: str


class NewDeployment(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which version is to answer. One that passed is deployed as it is; another one only when its verdict is accepted here."""

    version: Annotated[int, Meta(ge=1, description="Null: the newest one.")] | None = None
    accept_partial: Annotated[bool, Meta(description="Deploy it also when it leaves requirements unmet.")] = False
    accept_failed: Annotated[bool, Meta(description="Deploy it also when it failed its verification.")] = False


class DeploymentView(Struct, frozen=True, kw_only=True):
    """A version put where it answers, by a build or by a user. `verdict`: what verification said of the version; null of deployments that were
    made before it was kept. `smoke_test`: what the agent said when its build deployed it."""

    agent_id: str
    deployment_id: str
    user_id: str | None
    version: int
    verdict: Verdict | None
    deployment_type: Literal["local", "agentcore"]
    smoke_test: str
    created_at: str


class NewInvocation(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    content: Content


class InvocationView(Struct, frozen=True, kw_only=True):
    """One call of an agent and its accounting. `metadata` names the tools it called and the version that answered."""

    invocation_id: str
    agent_id: str
    session_id: str | None
    user_id: str
    input_text: str
    output_text: str
    status: Literal["success", "failed"]
    duration_ms: int
    input_tokens: int
    output_tokens: int
    error_message: str | None
    created_at: str
    metadata: JSON | None
