"""Writes rows and events under load until it is killed, and says each one that was acknowledged."""

import asyncio
import sys
from pathlib import Path

from nexus.adapters.memory.signals import MemorySignals
from nexus.adapters.sqlite.log import SqliteLog
from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import Writer
from nexus.domain.core.instants import system_clock
from nexus.domain.ports.database import Tables
from nexus.domain.ports.log import EventLog
from nexus.domain.ports.rows import insert, tally
from tests.contracts.stored import LINES, STORED, TALLIES, Line


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def write_rows(tables: Tables, topic: str) -> None:
    position = 0
    while True:
        fact = insert(LINES, Line(topic=topic, position=position, text="知" * 200))
        await tables.commit(fact, tally(TALLIES, ("all", "day"), calls=1))
        say("row", topic, position)
        position += 1


async def write_events(log: EventLog, topic: str) -> None:
    position = await log.find_end_position(topic)
    while True:
        events = [b"%s %d" % (topic.encode(), position + n) for n in (1, 2, 3)]
        position = await log.append_events(topic, events, after=position)
        say("event", topic, position)


async def main(path: Path, run: str) -> None:
    writer = Writer(path)
    await writer.open()
    driver, events = SqliteTables(writer, STORED), SqliteLog(writer, MemorySignals())
    await driver.open()
    await events.open()
    tables, log = Tables(driver, secret=b"s", clock=system_clock), EventLog(events)
    async with asyncio.TaskGroup() as group:
        for n in range(6):
            group.create_task(write_rows(tables, f"{run}-{n}"))
            group.create_task(write_events(log, f"topic-{n}"))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
