"""Slugs: each names one agent of a tenant, and the folder of that agent in its project. A project keeps its slugs as long as it is there."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count

from nexus.domain.agents.model import Agent, Reservation
from nexus.domain.agents.tables import AGENTS, RESERVATIONS
from nexus.domain.core.errors import AlreadyExists
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import R, Table, insert

LONGEST = 40
STEM = 34
"""What all slugs begin with that may be made of one: six characters are left for the number behind it."""


class Slugs:
    def __init__(self, *, tables: Tables) -> None:
        self._tables = tables

    async def reserve_agent_slugs(self, tenant_id: str, project_id: str, wanted: Sequence[str]) -> Mapping[str, str]:
        """By wanted slug the one that the project has, which is the same whenever it asks: with a number behind it (`converter_2`) where
        another project was faster."""
        while True:
            chosen, new = dict[str, str](), list[Reservation]()
            for slug in wanted:
                reserved = await self._list_rows_by_slug_prefix(RESERVATIONS, tenant_id, slug)
                agents = await self._list_rows_by_slug_prefix(AGENTS, tenant_id, slug, index="TenantSlugIndex")
                own = _list_project_slugs(slug, project_id, reserved, agents)
                kept = [one for one in own if one not in chosen.values()]
                others = {*wanted, *chosen.values()} - {slug}
                chosen[slug] = found = kept[0] if kept else _find_free_slug(slug, project_id, reserved, agents, others)
                if found not in {row.slug for row in reserved}:
                    new.append(Reservation(tenant_id=tenant_id, slug=found, project_id=project_id, wanted=slug))
            try:
                await self._tables.commit(*(insert(RESERVATIONS, row) for row in new))
            except AlreadyExists:  # another build was faster: look again
                continue
            return chosen

    async def release_project_slugs(self, project_id: str) -> None:
        """The slugs of a project that is gone are free."""
        await self._tables.clear(RESERVATIONS, project_id, index="ProjectIndex")

    async def _list_rows_by_slug_prefix(
        self, table: Table[R], tenant_id: str, slug: str, *, index: str | None = None
    ) -> list[R]:
        """The tenant's rows whose slug begins as this one does."""
        stem = slug[:STEM]
        window = Window(limit=100, since=stem, until=f"{stem}~")
        return [row async for row in self._tables.each(table, tenant_id, index=index, window=window)]


def _list_project_slugs(
    wanted: str, project_id: str, reserved: Sequence[Reservation], agents: Sequence[Agent]
) -> list[str]:
    """What the project has for a slug already; agents that are older than reservations count."""
    strangers = {row.slug for row in reserved if row.project_id != project_id}
    own = [row.slug for row in reserved if row.project_id == project_id and row.wanted == wanted]
    own += [agent.slug for agent in agents if agent.project_id == project_id and agent.slug == wanted]
    return [slug for slug in own if slug not in strangers]


def _find_free_slug(
    wanted: str, project_id: str, reserved: Sequence[Reservation], agents: Sequence[Agent], others: set[str]
) -> str:
    """The first slug that nobody has, and that is none of the `others`."""
    taken = others | {row.slug for row in reserved}
    taken |= {agent.slug for agent in agents if agent.project_id != project_id and not agent.deleted_at}
    return next(slug for slug in _generate_numbered_slugs(wanted) if slug not in taken)


def _generate_numbered_slugs(slug: str) -> Iterator[str]:
    yield slug
    for number in count(2):
        yield f"{slug[: LONGEST - len(str(number)) - 1]}_{number}"
