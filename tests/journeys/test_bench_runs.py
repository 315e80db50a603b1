"""The benchmark, with tiny numbers: that it runs, not how fast anything is."""

import subprocess
import sys
from pathlib import Path

from bench import chart, growth, report
from bench.run import Bench, Sizes
from bench.systems import Agno, Nexus, Raw, System
from nexus.composition.process import open_process
from nexus.domain.core.principal import LOCAL_OWNER, Principal
from nexus.settings import parse_environment

ROOT = Path(__file__).parents[2]
TINY = Sizes(
    rounds=1, starts=0, streams=3, tokens=20, alone=1, paced_streams=2, paced_tokens=2, gets=3, idle=0, chats=0
)
SERVED = {
    "flood: CPU per token, µs",
    "flood: tokens/s",
    "CPU per request, ms",
    "paced: CPU per token, µs",
    "paced: first token, ms",
    "paced: time over plan",
    "first token over direct, ms",
    "GET: CPU, µs",
    "GET: answered after, µs",
}


async def test_nexus_is_measured_beside_the_raw_relay(tmp_path: Path) -> None:
    told: list[str] = []
    bench = Bench(TINY, tmp_path, told.append)
    await bench.run([Raw, Nexus])
    assert not [line for line in told if line.startswith("left out")]
    assert set(bench.figures) == SERVED
    assert all(len(bench.figures[measure][name]) == 1 for measure in SERVED for name in (Raw.name, Nexus.name))


class Broken(Agno):
    """A peer that cannot be installed."""

    def missing(self) -> str:
        return "there is no such package"


async def test_a_peer_that_is_not_there_is_left_out_with_a_line(tmp_path: Path) -> None:
    kinds: list[type[System]] = [Broken, Raw]
    told: list[str] = []
    bench = Bench(TINY, tmp_path, told.append)
    await bench.run(kinds)
    assert "left out: Agno AgentOS (there is no such package)" in told
    assert set(bench.figures["flood: tokens/s"]) == {Raw.name}


def test_the_command_prints_a_table_and_writes_nothing_unless_asked() -> None:
    folder = ROOT / "bench"
    before = {path: path.stat().st_mtime_ns for path in folder.glob("results.*")}
    command = [sys.executable, "-m", "bench.run", "--quick", "--only", "joined"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "| start, s |" in ran.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.glob("results.*")} == before


def test_a_figure_stands_beside_its_ratio_to_the_raw_relay(tmp_path: Path) -> None:
    figures = {"flood: CPU per token, µs": {"raw relay": [2.0, 4.0, 3.0], "nexus": [6.0, 6.0, 9.0]}}
    text = report.table(figures, ["raw relay", "nexus", "Agno AgentOS"], "a machine")
    assert "| flood: CPU per token, µs | 3.00 (2.00–4.00) | 6.00 (6.00–9.00) ×2.00 |" in text
    report.write(tmp_path, text, figures, "a machine")
    assert (tmp_path / "results.md").read_text(encoding="utf-8").count("×2.00") == 1
    assert b'"nexus": [' in (tmp_path / "results.json").read_bytes()


async def test_growth_is_measured_at_every_size_and_drawn(tmp_path: Path) -> None:
    figures = await growth.measured(growth.QUICK, tmp_path, lambda line: None)
    assert len(figures) == 10
    assert all(len(figures[measure][size]) == 1 for measure in figures for size in (5, 10))
    assert all(cost.wall > 0 for costs in figures.values() for values in costs.values() for cost in values)
    drawn = chart.lines("Growth & cost", (5, 10), growth.ratios(figures, (5, 10)), limit=growth.FLAT)
    assert drawn.count("<polyline") == len(figures)
    assert "Growth &amp; cost" in drawn


def test_growth_that_is_not_flat_is_said_to_be_so() -> None:
    costs = {size: [growth.Cost(cpu, cpu)] for size, cpu in ((5, 100.0), (10, 150.0))}
    assert "| page | 100 (100) | 150 (150) | 1.50 | not flat | ×1.0 |" in growth.table({"page": costs}, (5, 10))


async def test_a_grown_store_holds_its_copies_as_rows_of_their_users(tmp_path: Path) -> None:
    async with open_process(parse_environment({}, data_dir=str(tmp_path))) as process:
        await growth.Grown(process, 5).grow()
        mine = await process.services.projects.list_projects(LOCAL_OWNER, growth.NEWEST)
        other = Principal("tnt_00000003", "usr_00000003")
        theirs = await process.services.projects.list_projects(other, growth.NEWEST)
        sessions = await process.services.sessions.list_sessions(other, growth.NEWEST)
        told = await process.services.sessions.list_messages(other, sessions.items[0].session_id, growth.NEWEST)
    assert len(mine.items) == 6
    assert len(theirs.items) == len(sessions.items) == 1
    assert [message.role for message in told.items] == ["assistant", "user"]
