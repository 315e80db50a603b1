"""What can be found when all is over: the rows, the histories, the ledger, the processes and the directories."""

import asyncio
import contextlib
import fcntl
import json
import os
import sqlite3
import subprocess
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.chaos.harness import Bench, Violation, must, rooms_of
from tests.chaos.model import plan

JSON = dict[str, Any]
TABLES = (
    "projects",
    "builds",
    "stages",
    "tasks",
    "steps",
    "events",
    "sessions",
    "messages",
    "replies",
    "agents",
    "versions",
)

COLLECT_SECONDS = 45.0
"""A living server looks every half minute."""

_LISTENS, _IS_OVER = "0A", "06"
"""States of a connection, in the kernel's numbers."""


class Evidence:
    """Read after the last server has ended; nothing is changed."""

    def __init__(self, world: Bench) -> None:
        self.data, self.ledger = world.data, world.model.lines()
        with closing(opened(world.data)) as store:
            [(verdict,)] = store.execute("pragma integrity_check").fetchall()
            must(verdict == "ok", f"The store is broken: {verdict}")
            self.rows = {name: in_rows(store, name) for name in TABLES}
            self.log_topics: dict[str, list[JSON]] = _log(store)
        self.group_events()

    def group_events(self) -> None:
        self.topics: dict[str, list[JSON]] = defaultdict(list)
        for event in sorted(self.rows["events"], key=lambda event: (event["topic"], event["position"])):
            self.topics[event["topic"]].append(event)

    @property
    def builds(self) -> Iterator[tuple[JSON, list[JSON]]]:
        """Every build with its events."""
        for build in self.rows["builds"]:
            yield build, self.topics[f"build:{build['project_id']}/{build['build_no']}"]

    def marks(self) -> dict[str, JSON]:
        """Projects by the mark of their run."""
        return {project["requirement"].split("_")[1]: project for project in self.rows["projects"]}

    def asked(self) -> dict[str, Counter[str]]:
        """By mark: how often each kind of question was put to the model server."""
        found: dict[str, Counter[str]] = defaultdict(Counter)
        for line in self.ledger:
            if line["what"] == "asked":
                found[line["mark"]][line["topic"]] += 1
        return found

    def repeated(self) -> dict[str, Counter[str]]:
        """By mark: what was asked beyond the plan of an undisturbed build."""
        return {mark: asked - Counter(plan(mark)) for mark, asked in self.asked().items()}

    def commits(self, project_id: str) -> list[str]:
        """The keys of a project's history, oldest first."""
        tree = self.data / "projects" / project_id
        if not (tree / ".git" / "refs" / "heads" / "main").exists():
            return []
        command = [
            "git",
            "-c",
            "safe.directory=*",
            "-C",
            str(tree),
            "log",
            "--reverse",
            "--format=%(trailers:key=Nexus-Key,valueonly)",
        ]
        told = subprocess.run(command, capture_output=True, text=True, check=True)
        return [line for line in told.stdout.splitlines() if line]

    def state_of_files(self, project_id: str) -> str:
        """What differs between the newest commit and the working tree; empty when nothing does."""
        tree = self.data / "projects" / project_id
        command = ["git", "-c", "safe.directory=*", "-C", str(tree), "status", "--porcelain"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    def leftovers(self) -> list[str]:
        """Directories and files that only a run in progress has a use for."""
        projects, found = self.data / "projects", list[str]()
        for pattern in (
            ".nexus-write-*",
            "*/.nexus-write-*",
            "*/.git/*.lock",
            "*/.git/refs/heads/*.lock",
            "*/.git/fast_import_crash_*",
            "*/**/.nexus-write-*",
        ):
            found += [str(path) for path in projects.glob(pattern)]
        return found


def rooms(data: Path) -> list[str]:
    """Rooms in which code was run and that are still there."""
    return [str(path) for path in rooms_of(data).glob("*")]


async def settled(world: Bench) -> int:
    """What killed servers left is removed by the next living one. Waits for that, where the last one had no time for it; how much there
    was. The server has ended, before and after."""
    left = _left_by_the_dead(world.data)
    if left:
        await world.nexus.start()
        await collected(world.data)
        await world.nexus.terminate()
    must(not (still := rooms(world.data)), f"Rooms that nobody removes: {still[:3]}")
    return len(left)


async def collected(data: Path, *, within: float = COLLECT_SECONDS) -> float:
    """Seconds until a living server has removed what dead ones left."""
    began = time.monotonic()
    while left := _left_by_the_dead(data):
        must(time.monotonic() - began < within, f"Not removed after {within:g} s: {left[:3]}")
        await asyncio.sleep(0.1)
    return time.monotonic() - began


def _left_by_the_dead(data: Path) -> list[str]:
    """Rooms that nobody holds, and files that nobody writes."""
    left = [room for room in rooms(data) if not _is_held(Path(room))]
    return [*left, *(str(path) for path in (data / "projects").rglob(".nexus-write-*"))]


def _is_held(room: Path) -> bool:
    """Whether its owner lives: who made a room keeps it locked."""
    try:
        handle = os.open(room, os.O_RDONLY | os.O_DIRECTORY)
    except FileNotFoundError:
        return True  # removed meanwhile
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def left_of(data: Path, project_ids: Sequence[str]) -> list[str]:
    """Rows, folders and unfinished tasks of projects that were deleted."""
    with closing(opened(data)) as store:
        rows = [(name, row) for name in TABLES if name != "events" for row in in_rows(store, name)]
    found = [
        f"{name}: {row['project_id']} {row.get('status', '')}"
        for name, row in rows
        if row.get("project_id") in project_ids
        and (name != "tasks" or row["status"] not in ("completed", "failed", "cancelled"))
    ]
    return [*found, *(f"files of {one}" for one in project_ids if (data / "projects" / one).exists())]


def opened(data: Path) -> sqlite3.Connection:
    """The store, only to be read; also while a server works on it."""
    return sqlite3.connect(f"file:{data / 'nexus.db'}?mode=ro", uri=True, timeout=10)


def in_flight(data: Path) -> int:
    """How many builds and replies are being worked on, by the store."""
    return len(running(data))


def running(data: Path) -> list[str]:
    """Which they are, and by whom."""
    with closing(opened(data)) as store:
        rows = [*in_rows(store, "tasks"), *in_rows(store, "replies")]
    return [
        f"{row.get('task_id') or row.get('reply_id')} ({row.get('worker_id')})"
        for row in rows
        if row["status"] == "running"
    ]


def beats(data: Path) -> int:
    """How many signs of life have been given for builds in all."""
    with closing(opened(data)) as store:
        return sum(int(row["heartbeat"]) for row in in_rows(store, "tasks"))


def stages_told(data: Path) -> int:
    """How many events of stages there are."""
    with closing(opened(data)) as store:
        [(count,)] = store.execute("select count(*) from nexus_events where row ->> 'tag' like 'stage.%'").fetchall()
        return int(count)


def in_rows(store: sqlite3.Connection, table: str) -> list[JSON]:
    """A table, as it stands."""
    return [json.loads(row) for (row,) in store.execute(f"select row from nexus_{table}")]


def _log(store: sqlite3.Connection) -> dict[str, list[JSON]]:
    found: dict[str, list[JSON]] = defaultdict(list)
    for topic, first, body in store.execute("select topic, first, body from nexus_log order by topic, first"):
        for position, line in enumerate(bytes(body).split(b"\n"), first):
            found[topic].append({"position": position, **json.loads(line)})
    return found


def orphans(known: set[int], of: str = "") -> list[str]:
    """Processes that came to this one because who started them is gone; those that name `of` in what they were started with, or where."""
    own, found = os.getpid(), list[str]()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in known:
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == own and fields[0] != "Z":
                words = (entry / "cmdline").read_bytes().replace(bytes(1), b" ").decode()
                known_by = (
                    f"{words} {(entry / 'environ').read_bytes().decode(errors='replace')} {(entry / 'cwd').readlink()}"
                )
                found += [f"{entry.name}: {words}"] if of in known_by else []
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise Violation(f"process {pid} has no memory")


def connections(pid: int, port: int) -> dict[int, int]:
    """What the kernel still keeps for a server's port: by the port of the other side, how many bytes wait to be sent or heard of."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    ours = [line for line in lines if line[1].endswith(f":{port:04X}") and line[3] not in (_LISTENS, _IS_OVER)]
    return {int(line[2].rpartition(":")[2], 16): int(line[4].partition(":")[0], 16) for line in ours}


def open_sockets(pid: int) -> int:
    """How many the process itself holds."""
    found = 0
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found += str(entry.readlink()).startswith("socket:")
    return found


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
