"""`nexus promote`: everything goes from SQLite to DynamoDB and back, whatever kills it, and nothing goes where something is already."""

import asyncio
import json
import shutil
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from msgspec import structs

from nexus.adapters.dynamodb.provision import create_missing_tables
from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.composition.backends import Backends, open_dynamodb
from nexus.composition.process import open_process
from nexus.composition.stores import make_migrations, open_table_driver
from nexus.composition.tables import TABLES
from nexus.domain.agents.model import Agent
from nexus.domain.agents.tables import AGENTS
from nexus.domain.core.errors import Conflict
from nexus.domain.core.failpoints import KILLED, PROMOTION_FAILPOINTS
from nexus.domain.events.model import Event
from nexus.domain.events.tables import EVENTS
from nexus.domain.ports.database import BulkTableDriver
from nexus.domain.ports.rows import Item, Table
from nexus.domain.requests.model import KeptAnswer
from nexus.domain.requests.tables import REQUESTS
from nexus.domain.sessions.model import Message, TextPart
from nexus.domain.sessions.tables import MESSAGES
from nexus.domain.tallies.model import TOTAL, Tally
from nexus.domain.tallies.tables import TALLIES
from nexus.settings import Settings, parse_environment
from tests.cli.test_resources import Shell
from tests.contracts.conftest import aws_url as aws_url

T = TypeVar("T")
NOON = "2026-12-01T12:00:00.000Z"
CHINESE = "把公里换算成英里，再换回来。"
LARGE = CHINESE * 25_000
AGENT = Agent(
    agent_id="agt_1", project_id="prj_1", tenant_id="tnt_a", user_id="usr_a", agent_name=CHINESE, slug="converter",
    created_at=NOON, updated_at=NOON,
)  # fmt: skip


def make_message(number: int, text: str) -> Message:
    return Message(
        session_id="ses_1", message_id=f"msg_{number:04}", tenant_id="tnt_a", user_id="usr_a", role="user",
        parts=(TextPart(text),), created_at=NOON,
    )  # fmt: skip


def list_rows() -> list[tuple[Table[Any], Item]]:
    """Of several pages, large, past their time, deleted, with odd numbers, and with a field of newer code."""
    now = int(time.time())
    rows: list[tuple[Table[Any], Any]] = [
        (AGENTS, AGENT),
        (AGENTS, structs.replace(AGENT, agent_id="agt_2", slug="gone", deleted_at=NOON)),
        *((MESSAGES, make_message(number, f"{CHINESE} {number}")) for number in range(120)),
        (MESSAGES, make_message(900, LARGE)),
        (MESSAGES, make_message(901, LARGE)),
        *((EVENTS, Event(topic="build:p/1", position=n, tag="stage.log", created_at=NOON, expires_at=now + n * 86_400,
                         data={"n": 1.0, "x": 1e-9, "y": 1e22, "deep": [{"": -0.5}, None, True]})) for n in range(5)),
        (REQUESTS, KeptAnswer(key="old", digest="d", answer="{}", expires_at=now - 86_400)),
        (TALLIES, Tally(tenant_id="tnt_a", day=TOTAL, messages=122)),
    ]  # fmt: skip
    items = [(table, table.encode_row(row)) for table, row in rows]
    return [(table, {**item, "future": {"x": CHINESE}} if table is AGENTS else item) for table, item in items]


def fill_files(root: Path) -> None:
    """As a project lies there: a working tree with its repository."""
    project = root / "projects" / "prj_1"
    project.mkdir(parents=True)
    (project / "说明.md").write_text(CHINESE)
    (project / "run.sh").write_text("#!/bin/sh\n")
    (project / "run.sh").chmod(0o700)
    (project / "empty").mkdir()
    (project / "link").symlink_to("run.sh")
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)


@dataclass(frozen=True)
class Stores:
    """A SQLite that is full, a DynamoDB that is empty, and the command between them. Each has a root for its files."""

    shell: Shell
    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def mount(self) -> Path:
        return self.folder / "mount"

    def settings(self, backend: str = "dynamodb", data: Path | None = None) -> Settings:
        nexus = {name: value for name, value in self.shell.environ.items() if name.startswith("NEXUS_")}
        root = {"NEXUS_FILES__ROOT": str(self.mount)} if backend == "dynamodb" else {}
        where = {"NEXUS_DATA_DIR": str(data or self.data), "NEXUS_TABLES__BACKEND": backend}
        return parse_environment({**nexus, **root, **where})

    def promote(self, *options: str, failpoint: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        ways = ("--from", "sqlite", "--to", "dynamodb", "--data-dir", str(self.data), "--files-to", str(self.mount))
        given = {"NEXUS_CHAOS__FAILPOINT": failpoint, "NEXUS_TABLES__BACKEND": "sqlite", **environ}
        return self.shell.run(*ways, *options, command="promote", **given)

    def promote_back(self, data: Path, *options: str, failpoint: str = "") -> subprocess.CompletedProcess[str]:
        ways = ("--from", "dynamodb", "--to", "sqlite", "--data-dir", str(data), "--files-to", str(data))
        files = ("--files-from", str(self.mount))
        return self.shell.run(*ways, *files, *options, command="promote", NEXUS_CHAOS__FAILPOINT=failpoint)

    def run(self, work: Callable[[BulkTableDriver], Awaitable[T]], backend: str = "dynamodb") -> T:
        async def run_on_store() -> T:
            async with AsyncExitStack() as stack:
                return await work(await open_table_driver(Backends(self.settings(backend), stack)))

        return asyncio.run(run_on_store())

    def list_values(self) -> list[Path]:
        return sorted(path for path in (self.mount / "spilled").rglob("*") if path.is_file())


async def write_rows(driver: BulkTableDriver) -> None:
    await make_migrations(driver).record_new_store()
    for table, item in list_rows():
        await driver.put_rows(table, [item])


@pytest.fixture
def stores(aws_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stores:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "nobody")
    stores = Stores(Shell(aws_url), tmp_path)
    stores.run(write_rows, "sqlite")
    fill_files(stores.data)

    async def make_tables() -> None:
        async with AsyncExitStack() as stack:
            client = await open_dynamodb(stores.settings(), stack)
            await create_missing_tables(client, TABLES, prefix=stores.settings().tables.prefix)

    asyncio.run(make_tables())
    return stores


def read(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What was compared, by table."""
    assert done.returncode in (0, 1), done.stderr
    compared = json.loads(done.stdout)
    return {**{one["table"]: one for one in compared["tables"]}, "files": compared["files"]}


def test_there_and_back_nothing_is_lost(stores: Stores) -> None:
    done = stores.promote("--json")
    assert done.returncode == 0, done.stderr
    there = read(done)
    assert [there[name]["target"]["rows"] for name in ("messages", "agents", "tallies")] == [122, 2, 1]
    assert there["requests"]["source"] == {**there["requests"]["target"], "rows": 0, "expiring": 1}
    assert there["files"]["source"]["files"] > 5
    assert "messages: 122 copied" in done.stderr and f"NEXUS_FILES__ROOT={stores.mount}" in done.stderr
    assert len(stores.list_values()) == 1, "two messages have one large value in common"
    back = read(stores.promote_back(stores.folder / "back", "--json"))
    for name, first in there.items():
        assert back[name]["target"] == first["source"], name
    assert stores.promote_back(stores.folder / "back", "--verify").returncode == 0
    project = stores.folder / "back" / "projects" / "prj_1"
    assert subprocess.run(["git", "status", "--short"], cwd=project, capture_output=True, check=True).stdout
    assert (project / "run.sh").stat().st_mode & 0o100 and (project / "empty").is_dir()
    assert (project / "link").readlink() == Path("run.sh")


def each_killed(points: Sequence[str], promote: Callable[..., Any]) -> None:
    """One process after the other dies at a point, each going on where the one before it was killed."""
    for point in points:
        assert (died := promote(failpoint=point)).returncode == KILLED, (point, died.stderr)


def test_it_goes_on_wherever_it_was_killed(stores: Stores) -> None:
    *points, before_compare, after_compare, before_end, after_end = PROMOTION_FAILPOINTS
    in_messages = ("before:promotion.page@2~messages", "after:promotion.page@2~messages")
    each_killed((*points, *in_messages, before_compare, after_compare, before_end), stores.promote)
    done = stores.promote("--json", failpoint=after_end)
    assert done.returncode == KILLED
    assert all(one["source"] == one["target"] for one in read(stores.promote("--verify", "--json")).values())
    asyncio.run(start_server(stores.settings(data=stores.folder / "own")))


def test_the_way_back_goes_on_too(stores: Stores) -> None:
    assert stores.promote().returncode == 0
    back = stores.folder / "back"
    points = ("after:promotion.mark", "after:promotion.page@2~messages", "after:promotion.cursor~messages")
    each_killed(points, lambda failpoint: stores.promote_back(back, failpoint=failpoint))
    with pytest.raises(Conflict, match="lacks rows"):
        asyncio.run(start_server(stores.settings("sqlite", back)))
    done = stores.promote_back(back)
    assert done.returncode == 0 and "It went on" in done.stderr, done.stderr
    asyncio.run(start_server(stores.settings("sqlite", back)))


async def start_server(settings: Settings) -> None:
    async with open_process(settings):
        pass


def test_no_server_starts_where_rows_are_still_to_come(stores: Stores) -> None:
    assert stores.promote(failpoint="after:promotion.page@2~messages").returncode == KILLED
    with pytest.raises(Conflict, match="lacks rows"):
        asyncio.run(start_server(stores.settings(data=stores.folder / "own")))
    shutil.copytree(stores.data, stores.folder / "other")
    other = stores.promote("--data-dir", str(stores.folder / "other"))
    assert other.returncode == 1 and "another promotion" in other.stderr


def test_a_target_that_is_not_empty_is_refused(stores: Stores) -> None:
    table, item = list_rows()[0]

    async def write_one(driver: BulkTableDriver) -> None:
        await driver.put_rows(table, [item])

    (stores.mount / "projects" / "prj_0").mkdir(parents=True)
    refused = stores.promote()
    assert refused.returncode == 1 and "there are files in" in refused.stderr
    (stores.mount / "projects" / "prj_0").rmdir()
    stores.run(write_one)
    refused = stores.promote()
    assert refused.returncode == 1 and "there are rows in agents" in refused.stderr
    assert stores.promote("--verify").returncode == 1


def test_what_differs_is_found(stores: Stores) -> None:
    assert stores.promote().returncode == 0

    async def change_one(driver: BulkTableDriver) -> None:
        [item] = await driver.read_rows([(MESSAGES, ("ses_1", "msg_0007"))])
        assert item
        await driver.put_rows(MESSAGES, [{**item, "role": "assistant"}])

    stores.run(change_one)
    (stores.mount / "projects" / "prj_1" / "说明.md").write_text(CHINESE[::-1])
    differs = stores.promote("--verify")
    assert differs.returncode == 1 and "The stores differ in messages, files." in differs.stderr
    [row] = [line for line in differs.stdout.splitlines() if line.startswith("messages")]
    assert [row.split()[at] for at in (1, 3, -1)] == ["122", "122", "NO"]
    [value] = stores.list_values()
    value.write_bytes(b"damaged")
    damaged = stores.promote("--verify")
    assert damaged.returncode == 1 and "is not what was written there" in damaged.stderr


def test_a_source_that_a_server_holds_is_refused(stores: Stores) -> None:
    with DirectoryLock(stores.data):
        refused = stores.promote()
    assert refused.returncode == 1 and "already works in" in refused.stderr
    nothing = stores.promote("--data-dir", str(stores.folder / "nothing"))
    assert nothing.returncode == 2 and "There is no nexus.db" in nothing.stderr


def test_files_that_are_not_where_the_settings_say_are_missed(stores: Stores) -> None:
    async def write_project(driver: BulkTableDriver) -> None:
        [projects] = [table for table in TABLES if table.name == "projects"]
        await driver.put_rows(projects, [{"project_id": "prj_1", "tenant_id": "tnt_a"}])

    stores.run(write_project, "sqlite")
    refused = stores.promote(NEXUS_FILES__ROOT=str(stores.folder / "elsewhere"))
    assert refused.returncode == 2 and "--files-from" in refused.stderr


def test_a_store_is_not_copied_to_its_own_kind(stores: Stores) -> None:
    assert stores.promote("--to", "sqlite").returncode == 2
