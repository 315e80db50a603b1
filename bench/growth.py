"""What a build, a reply and a page of a list cost while users, builds and histories grow: in process, over the real store.

At size n a store holds n projects of the caller and n of n other tenants, each with its build, agent and session; one session
with n messages; and one build with a feed of n more events. All sizes are measured in turn, in every round."""

import argparse
import re
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

import msgspec
import uvloop
from msgspec import Struct, structs

from bench import chart
from nexus.composition.process import Process, open_process
from nexus.composition.tables import TABLES
from nexus.domain.core.ids import make_ulid_source
from nexus.domain.core.instants import format_instant, system_clock
from nexus.domain.core.principal import LOCAL_OWNER
from nexus.domain.events.model import Event
from nexus.domain.events.tables import EVENTS
from nexus.domain.ports.database import COMMIT_LIMIT, Tables, Window
from nexus.domain.ports.rows import Row, Table, Write, insert
from nexus.domain.projects.model import make_feed_topic
from nexus.domain.projects.starts import Opening
from nexus.domain.sessions.model import Message, TextPart
from nexus.domain.sessions.tables import MESSAGES
from nexus.settings import parse_environment

REQUIREMENT = "An agent that converts kilometres to miles and pounds to kilograms"
SAID = "convert 5 km to miles"
FLAT = 1.5
NOT_COPIED = {"tools", "tool_uses", "tallies", "reservations", "migration_runs"}
NEWEST = Window(limit=20, newest_first=True)

_IDS = re.compile(r"\b([a-z]{3}_)[0-9A-HJKMNP-TV-Z]{8}([0-9A-HJKMNP-TV-Z]{18})\b")
_DAYS = re.compile(r"\b\d{4}-\d\d-\d\d(?=T\d\d:)")


class Work(Struct, frozen=True):
    """What is measured: done so many times in a round, each time on so many units."""

    do: Callable[[], Awaitable[object]]
    times: int
    units: int = 1


class Plan(Struct, frozen=True):
    """`calls`: how often what is quick is done in a round. The smallest size fills a page, so that all pages are of 20."""

    sizes: tuple[int, ...] = (20, 270, 520, 1020)
    rounds: int = 5
    calls: int = 50
    replies: int = 5


QUICK = Plan(sizes=(5, 10), rounds=1, calls=2, replies=1)


class Cost(Struct, frozen=True):
    """Of one unit, in µs. `cpu` is that of this process, all its threads, and of the processes it waited for."""

    cpu: float
    wall: float


Figures = dict[str, dict[int, list[Cost]]]
"""By measure, then by size: one cost for each round."""


class Grown:
    """A process with a store of some size."""

    def __init__(self, process: Process, size: int) -> None:
        self._process, self.size, self._new_id = process, size, make_ulid_source()
        self._tables = Tables(process.adapters.tables, secret=process.adapters.secret, clock=system_clock)
        self._agent = self._project = self._long = ""
        self._events = 0

    async def grow(self) -> None:
        """A real build, session and reply, and so many copies of all their rows."""
        await self.build()
        sessions, projects = self._process.services.sessions, self._process.services.projects
        project = (await projects.list_projects(LOCAL_OWNER, NEWEST)).items[0]
        self._project, self._events = project.project_id, project.events + self.size
        self._agent = (await self._process.services.agents.list_agents(LOCAL_OWNER, NEWEST)).items[0].agent_id
        await self.reply((await sessions.create_session(LOCAL_OWNER, self._agent)).session_id)
        template = [(table, row) for table in TABLES if table.name not in NOT_COPIED async for row in self._all(table)]
        for number in range(1, self.size + 1):
            await self._commit([_copied(table, row, number * 2, "") for table, row in template])
            await self._commit([_copied(table, row, number * 2 + 1, f"{number:08d}") for table, row in template])
        await self._commit([await self._event(number) for number in range(self.size)])

    async def _all(self, table: Table[Any]) -> AsyncIterator[Row]:
        cursor, more = None, True
        while more:
            page = await self._tables.walk(table, Window(limit=100, cursor=cursor))
            for row in page.items:
                yield row
            cursor, more = page.cursor, page.cursor is not None

    async def _commit(self, writes: Sequence[Write]) -> None:
        for start in range(0, len(writes), COMMIT_LIMIT):
            await self._tables.commit(*writes[start : start + COMMIT_LIMIT])

    def _message(self, number: int) -> Write:
        said = Message(
            session_id=self._long,
            message_id=self._new_id("msg"),
            tenant_id=LOCAL_OWNER.tenant_id,
            user_id=LOCAL_OWNER.user_id,
            role="assistant" if number % 2 else "user",
            parts=(TextPart("5 km are 3.1069 miles." if number % 2 else SAID),),
            created_at=format_instant(system_clock()),
        )
        return insert(MESSAGES, said)

    async def _event(self, number: int) -> Write:
        """One more behind the end of the feed of the first build."""
        project = await self._process.services.projects.get(LOCAL_OWNER, self._project)
        where = make_feed_topic(project.project_id, project.build_no)
        last: Event = await self._tables.get(EVENTS, where, project.events)
        return insert(EVENTS, structs.replace(last, position=project.events + 1 + number))

    async def build(self) -> None:
        """A build from its start to its end."""
        services = self._process.services
        started = await services.builds.start(LOCAL_OWNER, Opening(requirement=REQUIREMENT))
        await self._process.lanes.wait_until_idle()
        project = await services.projects.get(LOCAL_OWNER, started.project_id)
        if project.status != "completed":
            raise RuntimeError(f"a build ended as {project.status}: {project.error_info}")

    async def reply(self, session_id: str) -> None:
        """A message and its answer, read to the end."""
        sessions = self._process.services.sessions
        asked = await sessions.send(LOCAL_OWNER, session_id, SAID)
        if batches := await sessions.stream_reply_events(LOCAL_OWNER, session_id, asked.reply_id):
            async for _ in batches:
                pass
        await self._process.lanes.wait_until_idle()
        kept = await sessions.get_reply(LOCAL_OWNER, session_id, asked.reply_id)
        if kept.status != "completed":
            raise RuntimeError(f"a reply ended as {kept.status}: {kept.error_message}")

    async def told(self, after: int) -> None:
        """All that the project's feed has behind a position."""
        batches = await self._process.services.projects.stream_build_events(LOCAL_OWNER, self._project, after)
        async for batch in batches:
            after += len(batch.events)
            if after == self._events:
                return

    async def renew(self) -> None:
        """A session of n messages to which no reply has added yet."""
        self._long = (await self._process.services.sessions.create_session(LOCAL_OWNER, self._agent)).session_id
        await self._commit([self._message(number) for number in range(self.size)])

    async def first_reply(self) -> None:
        session = await self._process.services.sessions.create_session(LOCAL_OWNER, self._agent)
        await self.reply(session.session_id)

    def works(self, plan: Plan) -> dict[str, Work]:
        on, calls = self._process.services, plan.calls
        completed = partial(on.projects.list_projects, LOCAL_OWNER, NEWEST, status="completed")
        return {
            "build": Work(self.build, 1),
            "reply in a new session": Work(self.first_reply, plan.replies),
            "reply after n messages": Work(lambda: self.reply(self._long), plan.replies),
            "page of projects": Work(lambda: on.projects.list_projects(LOCAL_OWNER, NEWEST), calls),
            "page of completed projects": Work(completed, calls),
            "page of agents": Work(lambda: on.agents.list_agents(LOCAL_OWNER, NEWEST), calls),
            "page of sessions": Work(lambda: on.sessions.list_sessions(LOCAL_OWNER, NEWEST), calls),
            "page of messages, of n": Work(lambda: on.sessions.list_messages(LOCAL_OWNER, self._long, NEWEST), calls),
            "last 20 events of a feed": Work(lambda: self.told(self._events - 20), calls),
            "event, reading a feed whole": Work(lambda: self.told(0), calls // 10 or 1, self._events),
        }


def _copied(table: Table[Any], row: Row, number: int, tenant: str) -> Write:
    """The row with ids of its own, some days ago; of another tenant where one is named."""
    day = (date.today() - timedelta(days=number)).isoformat()
    text = _IDS.sub(rf"\g<1>{number:08d}\g<2>", msgspec.json.encode(row).decode())
    text = _DAYS.sub(day, text)
    if tenant:
        text = text.replace(LOCAL_OWNER.tenant_id, f"tnt_{tenant}").replace(LOCAL_OWNER.user_id, f"usr_{tenant}")
    return insert(table, msgspec.json.decode(text, type=table.row))


def _cpu() -> float:
    used = [getrusage(whose) for whose in (RUSAGE_SELF, RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


async def _cost(work: Work) -> Cost:
    cpu, wall, units = _cpu(), time.perf_counter(), work.times * work.units
    for _ in range(work.times):
        await work.do()
    return Cost((_cpu() - cpu) / units * 1e6, (time.perf_counter() - wall) / units * 1e6)


async def measured(plan: Plan, data: Path, log: Callable[[str], None]) -> Figures:
    figures: Figures = {}
    async with AsyncExitStack() as stack:
        grown = []
        for size in plan.sizes:
            log(f"growing a store to {size}")
            process = await stack.enter_async_context(
                open_process(parse_environment({}, data_dir=str(data / str(size))))
            )
            grown.append(Grown(process, size))
            await grown[-1].grow()
        for number in range(plan.rounds + 1):
            log(f"round {number} of {plan.rounds}" if number else "warming up")
            turns = grown[::-1] if number % 2 else grown
            for one in grown:
                await one.renew()
            for measure in grown[0].works(plan):
                for one in turns:
                    cost = await _cost(one.works(plan)[measure])
                    if number:
                        figures.setdefault(measure, {}).setdefault(one.size, []).append(cost)
    return figures


def ratios(figures: Figures, sizes: Sequence[int]) -> dict[str, list[float]]:
    """The median CPU at each size over that at the first."""
    found = {}
    for measure, values in figures.items():
        middles = [median(cost.cpu for cost in values[size]) for size in sizes]
        found[measure] = [middle / middles[0] for middle in middles]
    return found


def table(figures: Figures, sizes: Sequence[int]) -> str:
    heads = ["µs of CPU (wall) for one", *(f"n = {size}" for size in sizes), "last / first", "", "rounds differ"]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for measure, ratio in ratios(figures, sizes).items():
        cells = [_cell(figures[measure][size]) for size in sizes]
        told = [f"{ratio[-1]:.2f}", _verdict(ratio[-1]), f"×{_spread(figures[measure]):.1f}"]
        lines.append(f"| {' | '.join([measure, *cells, *told])} |")
    notes = f"Medians of the rounds; flat: last / first of the CPU is below {FLAT}. Rounds differ: dearest / cheapest of a size."
    return "\n".join([*lines, "", notes])


def _verdict(ratio: float) -> str:
    return "flat" if ratio < FLAT else "not flat"


def _spread(values: Mapping[int, Sequence[Cost]]) -> float:
    """How far the rounds of one size lie apart, where that is worst."""
    return max(max(cost.cpu for cost in costs) / min(cost.cpu for cost in costs) for costs in values.values())


def _cell(costs: Sequence[Cost]) -> str:
    cpu, wall = median(cost.cpu for cost in costs), median(cost.wall for cost in costs)
    return f"{cpu:,.0f} ({wall:,.0f})".replace(",", " ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write bench/growth.svg")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how flat")
    given = parser.parse_args()
    plan = QUICK if given.quick else Plan()
    with tempfile.TemporaryDirectory(prefix="nexus-growth-") as data:
        figures = uvloop.run(measured(plan, Path(data), lambda line: print(line, flush=True)))
    print(table(figures, plan.sizes))
    if given.write:
        title = "CPU of one unit, × that at the smallest size, over the size of the store or history"
        drawn = chart.lines(title, plan.sizes, ratios(figures, plan.sizes), limit=FLAT)
        (Path(__file__).parent / "growth.svg").write_text(drawn, encoding="utf-8")


if __name__ == "__main__":
    main()
