"""Random writes, conditions and pages: every store says what memory says."""

import random
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import NexusError
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import (
    Below,
    Scalar,
    Table,
    When,
    Write,
    check,
    delete,
    insert,
    patch,
    replace,
    tally,
    when,
)
from tests.contracts.conftest import PEER, dynamodb_tables, sqlite_tables
from tests.contracts.stored import JOBS, LINES, PROMISES, TALLIES, Clock, Job, Line, Promise

STEPS = 80
JOB_IDS = [f"j{n}" for n in range(8)]
DAYS = [f"2025-01-0{n}" for n in range(1, 6)]
CALLER = Principal("t", "u")
CHANGING = ("status", "worker", "shard", "due_at", "user_id", "created_at", "payload", "score", "priority")
LISTS: list[tuple[Table[Any], tuple[Scalar, ...], str | None]] = [
    (JOBS, ("u",), "UserIndex"),
    (JOBS, ("u", "queued"), "UserStatusIndex"),
    (JOBS, ("t",), "PriorityIndex"),
    (JOBS, ("d1",), "DispatchIndex"),
    (LINES, ("x",), None),
    (TALLIES, ("x",), None),
]


def any_job(dice: random.Random) -> Job:
    return Job(
        job_id=dice.choice(JOB_IDS),
        tenant_id=dice.choice("tu"),
        user_id=dice.choice("uv"),
        status=dice.choice(("queued", "running", "done")),
        priority=dice.randrange(4),
        score=dice.choice((0.0, 1.0, 1e-7, 2.5)),
        worker=dice.choice(("a", "b", None)),
        not_before=dice.choice([*DAYS, None]),
        shard=dice.choice(("d1", None)),
        due_at=dice.choice([*DAYS, None]),
        created_at=dice.choice(DAYS),
        revision=dice.randrange(3),
        tags=dice.choice(([], ["x"])),
        payload=dice.choice((None, {}, {"a": None, "b": [1.5, 2]})),
    )


def any_condition(dice: random.Random) -> When:
    parts: dict[str, Any] = {
        "status": (dice.choice((("queued", "running"), "done")),),
        "worker": ((None, "a"), None, "b"),
        "priority": (Below(2), 1),
        "not_before": (Below("2025-01-03"), None),
        "revision": (0, 1),
    }
    return when(**{field: dice.choice(parts[field]) for field in dice.sample(sorted(parts), dice.randrange(3))})


def any_write(dice: random.Random) -> Write:
    job, other = any_job(dice), any_job(dice)
    match dice.randrange(10):
        case 0 | 1:
            return insert(JOBS, job)
        case 2:
            return replace(JOBS, job)
        case 3 | 4:
            return patch(
                JOBS, job, any_condition(dice), **{name: getattr(other, name) for name in dice.sample(CHANGING, 3)}
            )
        case 5:
            return check(JOBS, job, any_condition(dice))
        case 6:
            return delete(JOBS, job, any_condition(dice))
        case 7:
            return insert(LINES, Line(topic=dice.choice("xy"), position=dice.randrange(30)))
        case 8:
            return tally(TALLIES, (dice.choice("xy"), "d"), when(calls=Below(4)), calls=1, tokens=dice.randrange(5))
    expires_at = 4_000_000_000 + dice.randrange(-3, 3)
    return insert(PROMISES, Promise(key=dice.choice("kl"), answer=str(dice.random()), expires_at=expires_at))


def any_window(dice: random.Random, order: str) -> Window:
    bounds: list[Any] = [*DAYS, None, None]
    if order in ("priority", "position"):
        bounds = [1, 2, 20, None]
    elif order == "day":
        bounds = [None]
    since, until = dice.choice(bounds), dice.choice(bounds)
    return Window(limit=dice.randrange(1, 5), newest_first=dice.random() < 0.5, since=since, until=until)


async def said(tables: Tables, writes: list[Write]) -> str:
    try:
        await tables.commit(*writes)
    except NexusError as error:
        return f"{type(error).__name__} {error.facts}"
    except ValueError as error:
        return str(error)
    return "done"


async def seen(tables: Tables, dice: random.Random) -> list[Any]:
    """Every row by its key, and every list in pages."""
    shown: list[Any] = [await tables.find(JOBS, job_id) for job_id in JOB_IDS]
    for table, partition, index in LISTS:
        order = table.get_index(index).sort if index else table.key[1]
        window, rows = any_window(dice, order), []
        while True:
            page = await tables.read_page(table, *partition, index=index, window=window)
            rows += page.items
            if page.cursor is None:
                break
            window = structs.replace(window, cursor=page.cursor)
        values = [getattr(row, order) for row in rows]
        assert values == sorted(values, reverse=window.newest_first)
        shown.append(sorted(rows, key=repr))
    return shown


DYNOXIDES = [pytest.param(seed, "dynoxide", marks=PEER) for seed in range(4)]


@pytest.mark.parametrize(("seed", "dynamodb_url"), [(0, "moto"), *DYNOXIDES], indirect=["dynamodb_url"])
async def test_stores_agree(seed: int, dynamodb_url: str, tmp_path: Path, clock: Clock) -> None:
    async with sqlite_tables(tmp_path / "nexus.db") as sqlite, dynamodb_tables(dynamodb_url) as (client, prefix):
        drivers = (MemoryTables(), sqlite, DynamoTables(client, prefix=prefix))
        stores = [Tables(driver, secret=b"s", clock=clock) for driver in drivers]
        dice = random.Random(seed)
        for step in range(STEPS):
            writes = [any_write(dice) for _ in range(dice.choice((1, 1, 1, 2, 3)))]
            caller = dice.choice((None, None, CALLER))
            views = [tables.for_caller(caller) if caller else tables for tables in stores]
            memory, *others = [await said(tables, writes) for tables in views]
            assert others == [memory, memory], (step, writes)
            if step % 10 == 0:
                reference, *shown = [await seen(tables, random.Random(step)) for tables in views]
                assert all(other == reference for other in shown), step
