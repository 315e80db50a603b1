"""A machine whose kernel gives out no namespaces: the next plan of confinement is tried, and what is said about it is true."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nexus.adapters.confined.inside import landlock
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.code import Program
from tests.architecture.sources import ROOT

_OPENS = """
import asyncio, json, sys
from pathlib import Path
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.code import Program

async def main():
    async with ConfinedRunner(data=Path(sys.argv[1])) as runner:
        tier = runner.get_isolation_tier()
        try:
            found = (await runner.call_function(Program({"t.py": "def tool():\\n    return 6 * 7\\n"}), "t.py:tool", {})).value
        except Unavailable as away:
            found = away.detail
    print(json.dumps([tier.level, tier.name, tier.detail, found]))

asyncio.run(main())
"""


async def _in_a_world_without_namespaces(*arguments: str, **settings: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.without_namespaces", *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), **settings},
    )
    out, problem = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), problem.decode()


async def test_the_next_plan_is_in_force_or_the_reasons_are_given(tmp_path: Path) -> None:
    code, out, problem = await _in_a_world_without_namespaces("-c", _OPENS, str(tmp_path / "data"))
    assert (code, problem) == (0, "")
    level, _, detail, found = json.loads(out)
    assert "namespaces" not in detail or level == 0
    if landlock.find_landlock_version():
        assert level > 0, detail
        assert found == 42
    else:
        assert (level, found) == (0, detail)


async def test_the_doctor_says_what_holds_instead_of_breaking(tmp_path: Path) -> None:
    _, out, problem = await _in_a_world_without_namespaces(
        "-m", "nexus", "--json", "doctor", "--data-dir", str(tmp_path / "data")
    )
    assert "ExceptionGroup" not in out + problem
    findings: list[dict[str, Any]] = json.loads(out)
    code = next(finding for finding in findings if finding["name"] == "code runner")
    if landlock.find_landlock_version():
        assert (code["detail"].split(":")[0], code["state"]) in {
            ("tier 3 (own user)", "ok"),
            ("tier 2 (shared user)", "warn"),
        }
    else:
        assert code["state"] == "warn"


async def test_a_boundary_below_the_least_tier_runs_nothing_and_starts_no_server(tmp_path: Path) -> None:
    data = str(tmp_path / "data")
    for command, exit_code in (("serve", 2), ("doctor", 1)):
        wanted = ("serve", "--port", "0") if command == "serve" else ("doctor",)
        code, out, problem = await _in_a_world_without_namespaces(
            "-m", "nexus", *wanted, "--data-dir", data, NEXUS_CODE__MIN_TIER="4"
        )
        assert code == exit_code, out + problem
        assert "Generated code is not run on this machine" in out + problem
        assert "ready" not in out + problem


async def test_tiers_tell_what_stands_between_a_program_and_the_server(tmp_path: Path) -> None:
    """The same machine with and without its namespaces is not said to be as strong."""
    async with ConfinedRunner(data=tmp_path / "data") as runner:
        here = runner.get_isolation_tier()
    _, out, _ = await _in_a_world_without_namespaces("-c", _OPENS, str(tmp_path / "data"))
    there = json.loads(out)[0]
    if here.level == 4:
        assert there < 4
    async with ConfinedRunner(data=tmp_path / "data", min_tier=here.level + 1) as runner:
        assert runner.get_isolation_tier().level == 0
        with pytest.raises(Unavailable):
            await runner.call_function(Program({"t.py": "def tool(): ..."}), "t.py:tool", {})
    async with ConfinedRunner(data=tmp_path / "data", min_tier=here.level) as runner:
        assert runner.get_isolation_tier() == here
