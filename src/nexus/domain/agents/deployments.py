"""Versions that users put where they answer, beside those that builds deploy."""

from msgspec import Struct

from nexus.domain.agents import rules
from nexus.domain.agents.model import Agent, Deployment, NotAccepted, NotDeployable, Version
from nexus.domain.agents.service import Agents
from nexus.domain.agents.tables import DEPLOYMENTS, VERSIONS
from nexus.domain.audit.service import Audit
from nexus.domain.core.errors import InvalidInput, NotFound, PreconditionFailed
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.principal import Principal
from nexus.domain.events.service import Events
from nexus.domain.ports.database import Page, Tables, Window, retry_stale
from nexus.domain.ports.rows import when
from nexus.domain.requests.model import Once
from nexus.domain.requests.service import KeyedRequest, Requests


class Wanted(Struct, frozen=True, kw_only=True):
    """The version that is to answer, the newest where none is named, and which verdicts are accepted beside `passed`. `revision`: that of
    the agent, as it must still be."""

    version: int | None = None
    accept_partial: bool = False
    accept_failed: bool = False
    revision: int | None = None


class Deployments:
    def __init__(self, *, tables: Tables, agents: Agents, requests: Requests, audit: Audit, events: Events) -> None:
        self._tables, self._agents, self._requests = tables, agents, requests
        self._audit, self._events = audit, events

    async def list_deployments(self, caller: Principal, agent_id: str, window: Window) -> Page[Deployment]:
        await self._agents.get(caller, agent_id)
        return await self._tables.for_caller(caller).read_page(DEPLOYMENTS, agent_id, window=window)

    async def deploy(self, caller: Principal, agent_id: str, wanted: Wanted, *, once: Once | None = None) -> Deployment:
        """The version answers from now on, whatever answered before. NotAccepted for a verdict that was not accepted, NotDeployable for files
        that are gone or name tools that are; PreconditionFailed when the agent has another revision.

        The model is not asked: verification asked it every case of this version, and a version that failed would answer no better now."""

        async with self._requests.begin_idempotent_request(caller, once, Deployment) as request:
            if request.answer is None:
                request.answer = await self._commit_deployment(caller, agent_id, wanted, request)
        return request.result

    @retry_stale
    async def _commit_deployment(
        self, caller: Principal, agent_id: str, wanted: Wanted, request: KeyedRequest[Deployment]
    ) -> Deployment:
        agent = await self._agents.get(caller, agent_id)
        if wanted.revision is not None and wanted.revision != agent.revision:
            raise PreconditionFailed("The agent changed meanwhile.", revision=agent.revision)
        version, as_read = await self._get_deployable_version(agent, wanted), when(revision=agent.revision)
        deployment, writes = self._agents.make_deployment_writes(
            agent, version, user_id=caller.user_id, condition=as_read
        )
        facts = {"version": version.version, "verdict": version.verdict, "build_no": version.build_no}
        note = self._audit.make_audit_write(caller, "agent.deployed", agent_id, **facts)
        hit_failpoint("before:agent.deploy")
        await self._tables.commit(*writes, note, *request.make_answer_writes(deployment))
        hit_failpoint("after:agent.deploy")
        self._events.notify_other_systems(rules.make_deployment_notification(agent, deployment))
        return deployment

    async def _get_deployable_version(self, agent: Agent, wanted: Wanted) -> Version:
        number = wanted.version or agent.versions
        if not 1 <= number <= agent.versions:
            message = f"{agent.agent_name} has the versions 1 to {agent.versions}."
            raise InvalidInput(message, errors=[{"pointer": "/version", "message": message}])
        version = await self._tables.get(VERSIONS, agent.agent_id, number)
        told = rules.explain_deploy_refusal(
            version, accept_partial=wanted.accept_partial, accept_failed=wanted.accept_failed
        )
        if told:
            way = f"Send `accept_{version.verdict}` to deploy it all the same."
            raise NotAccepted(f"{told.rstrip('.')}. {way}", verdict=version.verdict, unmet=version.unmet)
        try:
            await self._agents.load_agent_spec(agent, number)
        except (InvalidInput, NotFound) as error:
            raise NotDeployable(f"Version {number} of {agent.agent_name}: {error.detail}") from error
        return version
