"""Agents: registered by builds, deployed, changed, called."""

import asyncio
from collections.abc import Mapping, Sequence
from weakref import WeakValueDictionary

from msgspec import structs

from nexus.domain.agents import package, rules
from nexus.domain.agents.model import Agent, Deployment, NotDeployed, Version
from nexus.domain.agents.package import PackageResolver
from nexus.domain.agents.rules import Origin, Registration
from nexus.domain.agents.tables import AGENTS, DEPLOYMENTS, VERSIONS
from nexus.domain.audit.service import Audit
from nexus.domain.core.errors import InvalidInput, NotFound, PreconditionFailed
from nexus.domain.core.ids import NewId, derive_id
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.texts import check_name
from nexus.domain.identity import policies
from nexus.domain.ports.database import Page, Tables, Window, retry_stale
from nexus.domain.ports.repository import Repository
from nexus.domain.ports.rows import Place, When, Write, delete, insert, patch, when
from nexus.domain.runtime.model import AgentSpec
from nexus.domain.tallies.service import Tallies
from nexus.domain.tasks.service import Tasks

KNOWN_SPECS = 256


class Agents:
    def __init__(
        self,
        *,
        tables: Tables,
        resolver: PackageResolver,
        repository: Repository,
        tasks: Tasks,
        tallies: Tallies,
        audit: Audit,
        clock: Clock,
        new_id: NewId,
    ) -> None:
        self._tables, self._resolver, self._repository = tables, resolver, repository
        self._tasks, self._tallies, self._audit = tasks, tallies, audit
        self._clock, self._new_id = clock, new_id
        self._specs: dict[tuple[str, int], AgentSpec] = {}
        self._resolving: WeakValueDictionary[tuple[str, int], asyncio.Lock] = WeakValueDictionary()

    async def get(self, caller: Principal, agent_id: str) -> Agent:
        agent = await self._tables.for_caller(caller).get(AGENTS, agent_id)
        if agent.deleted_at or not policies.can_view(caller, agent):
            raise NotFound("There is no such agent.")
        return agent

    def make_agent_row_key(self, agent_id: str) -> Place:
        """Where an agent is kept, for who reads it together with other rows."""
        return AGENTS, (agent_id,)

    async def list_agents(self, caller: Principal, window: Window, *, category: str | None = None) -> Page[Agent]:
        """The tenant's agents; deleted and others' private ones leave gaps: a page may be short."""
        tables = self._tables.for_caller(caller)
        if category:
            page = await tables.read_page(
                AGENTS, caller.tenant_id, category, index="TenantCategoryIndex", window=window
            )
        else:
            page = await tables.read_page(AGENTS, caller.tenant_id, index="TenantIndex", window=window)
        seen = [one for one in page.items if not one.deleted_at and policies.can_view(caller, one)]
        return Page(seen, page.cursor)

    async def list_project_agents(self, caller: Principal, project_id: str) -> list[Agent]:
        page = await self._tables.for_caller(caller).read_page(
            AGENTS, project_id, index="ProjectIndex", window=Window(limit=100)
        )
        return [agent for agent in page.items if not agent.deleted_at]

    async def list_agent_versions(self, caller: Principal, agent_id: str, window: Window) -> Page[Version]:
        await self.get(caller, agent_id)
        return await self._tables.for_caller(caller).read_page(VERSIONS, agent_id, window=window)

    @retry_stale
    async def update(
        self, caller: Principal, agent_id: str, changes: Mapping[str, object], *, revision: int | None = None
    ) -> Agent:
        """Changes name, description, category or visibility. PreconditionFailed when `revision` is not the present one."""
        if "agent_name" in changes:
            check_name(str(changes["agent_name"]), "/agent_name")
        agent = await self.get(caller, agent_id)
        if revision is not None and revision != agent.revision:
            raise PreconditionFailed("The agent changed meanwhile.", revision=agent.revision)
        fields = {**changes, "updated_at": format_instant(self._clock())}
        note = self._audit.make_audit_write(caller, "agent.updated", agent_id, fields=sorted(changes))
        await self._tables.commit(patch(AGENTS, agent, **fields), note)
        return structs.replace(agent, revision=agent.revision + 1, **fields)

    @retry_stale
    async def delete(self, caller: Principal, agent_id: str) -> None:
        """A tombstone: the agent and its sessions are gone for the API at once, a purge empties their rooms; its project keeps the files."""
        agent = await self.get(caller, agent_id)
        purge = self._tasks.make_deletion_write(caller, {"agent_id": agent_id}, project_id=agent.project_id)
        await self._tables.commit(
            self._make_tombstone_write(agent),
            purge,
            self._audit.make_audit_write(caller, "agent.deleted", agent_id),
            *self._tallies.make_tally_writes(agent.tenant_id, agents=-1),
        )

    async def make_tombstone_writes(self, agent_ids: Sequence[str]) -> list[Write]:
        """The tombstones of agents whose project is deleted, one each that is not buried yet; the caller commits and counts them."""
        found = [await self._tables.find(AGENTS, agent_id) for agent_id in agent_ids]
        return [self._make_tombstone_write(agent) for agent in found if agent and not agent.deleted_at]

    def _make_tombstone_write(self, agent: Agent) -> Write:
        now = format_instant(self._clock())
        return patch(AGENTS, agent, deleted_at=now, status="offline", active_version=0)

    async def list_agents_with_deleted(self, project_id: str) -> list[Agent]:
        """What a purge of the project still finds, buried or not."""
        return [agent async for agent in self._tables.each(AGENTS, project_id, index="ProjectIndex")]

    async def delete_agent_rows(self, agent: Agent) -> None:
        """Removes an agent's rows, its own last."""
        await self._tables.clear(VERSIONS, agent.agent_id)
        await self._tables.clear(DEPLOYMENTS, agent.agent_id)
        await self._tables.commit(delete(AGENTS, agent))

    def make_agent_id(self, project_id: str, slug: str) -> str:
        """Where a project's agent lives: the same in every build."""
        return derive_id("agt", project_id, slug)

    async def make_version_writes(self, origin: Origin, found: Sequence[Registration]) -> list[Write]:
        """The next version of each agent of a build, and the agents that are new; the caller commits them."""
        writes, new = list[Write](), 0
        for registration in found:
            agent_id = self.make_agent_id(origin.project_id, registration.package.manifest.agent.slug)
            known = await self._tables.find(AGENTS, agent_id)
            number = known.versions + 1 if known else 1
            fields = rules.make_agent_fields(registration, number, now=format_instant(self._clock()))
            if known:  # what users change meanwhile, a name or what is deployed, does not matter here
                present = when(versions=known.versions, deleted_at=known.deleted_at)
                writes.append(patch(AGENTS, known, present, deleted_at=None, **fields))
            else:
                writes.append(insert(AGENTS, rules.make_agent(agent_id, origin, registration, fields)))
            new += not known or bool(known.deleted_at)
            writes.append(
                insert(
                    VERSIONS, rules.make_version(agent_id, number, origin, registration, format_instant(self._clock()))
                )
            )
        return [*writes, *(self._tallies.make_tally_writes(origin.tenant_id, agents=new) if new else ())]

    async def read(self, agent_id: str) -> Agent:
        """For accounting, deleted or not."""
        return await self._tables.get(AGENTS, agent_id)

    async def has_agent(self, agent_id: str) -> bool:
        """Whether the agent has not been deleted."""
        agent = await self._tables.find(AGENTS, agent_id)
        return agent is not None and not agent.deleted_at

    async def get_newest_version(self, agent_id: str) -> tuple[Agent, Version]:
        """The newest version of an agent, whoever owns it."""
        agent = await self._tables.get(AGENTS, agent_id)
        return agent, await self._tables.get(VERSIONS, agent_id, agent.versions)

    def make_deployment_writes(
        self, agent: Agent, version: Version, *, user_id: str, smoke_test: str = "", condition: When | None = None
    ) -> tuple[Deployment, list[Write]]:
        """The version answers from now on; the caller commits it. Unless told otherwise it holds where no version and no deletion came
        in between."""
        now, present = format_instant(self._clock()), when(versions=agent.versions, deleted_at=None)
        deployment = Deployment(
            agent_id=agent.agent_id,
            deployment_id=self._new_id("dep"),
            tenant_id=agent.tenant_id,
            user_id=user_id,
            version=version.version,
            verdict=version.verdict,
            smoke_test=smoke_test,
            created_at=now,
        )
        fields = {"active_version": version.version, "version": str(version.version), "status": "running"}
        deployed = patch(AGENTS, agent, condition or present, **fields, deployed_at=now, updated_at=now)
        return deployment, [insert(DEPLOYMENTS, deployment), deployed]

    async def load_agent_spec(self, agent: Agent, version: int | None = None) -> AgentSpec:
        """What a version is made of; the active one unless another is named. NotDeployed when there is none."""
        number = version or agent.active_version
        if not number:
            raise NotDeployed(
                f"{agent.agent_name} has no deployed version: see the report of its project, or deploy one."
            )
        key = (agent.agent_id, number)
        if (known := self._specs.get(key)) is not None:
            return known
        async with self._resolving.setdefault(key, asyncio.Lock()):
            return self._specs.get(key) or await self._load_spec_into_cache(agent, number)

    async def _load_spec_into_cache(self, agent: Agent, number: int) -> AgentSpec:
        row = await self._tables.get(VERSIONS, agent.agent_id, number)
        resolved = await self.load_spec_at_commit(agent.project_id, agent.slug, at=row.commit_id)
        while len(self._specs) >= KNOWN_SPECS:
            del self._specs[next(iter(self._specs))]
        self._specs[agent.agent_id, number] = resolved
        return resolved

    async def load_spec_at_commit(self, project_id: str, slug: str, *, at: str | None = None) -> AgentSpec:
        """An agent as the files of its project say at a commit."""
        packages = await self.load_agent_packages(project_id, at=at)
        if slug not in packages:
            raise InvalidInput(f"agents/{slug}: there is no package.")
        return await self._resolver.make_agent_spec(
            packages[slug], agent_id=self.make_agent_id(project_id, slug), others=packages
        )

    async def load_agent_packages(self, project_id: str, *, at: str | None = None) -> dict[str, package.Package]:
        """All agent packages of a project by slug."""
        found = await self.read_agent_files(project_id, at=at)
        return {slug: package.parse_package(files) for slug, files in found.items() if package.MANIFEST in files}

    async def read_agent_files(self, project_id: str, *, at: str | None = None) -> dict[str, dict[str, str]]:
        """By slug, the files of the agents of a project, whole packages or not, by path from their folder."""
        found: dict[str, dict[str, str]] = {}
        paths = [path for path in await self._repository.list(project_id, at=at) if path.startswith("agents/")]
        contents = await asyncio.gather(*(self._repository.read(project_id, path, at=at) for path in paths))
        for path, content in zip(paths, contents, strict=True):
            _, slug, inside = path.split("/", 2)
            found.setdefault(slug, {})[inside] = content.decode(errors="replace")
        return found
