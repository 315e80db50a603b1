"""`python -m tests.chaos [--seed N] [--runs N] [--only e01,e02]`: breaks nexus in every way it is built for, and looks at what is left."""

import argparse
import asyncio
import ctypes
import importlib
import resource
import secrets
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Sequence
from enum import Enum
from pathlib import Path

from nexus.adapters.structlog import logs
from tests.chaos.experiments import Run, Skipped
from tests.chaos.harness import Violation, adopting

RUNS = 200
LIMIT_SECONDS = 300
BUSY = ("e01", "e02")
"""They keep cores busy for minutes; the others wait most of the time."""
_PR_SET_PDEATHSIG = 1


class Outcome(Enum):
    """What a process that ran one experiment ends with."""

    HELD = 0
    BROKEN = 1
    SKIPPED = 2


MARKS = {Outcome.HELD: "✔", Outcome.BROKEN: "✘", Outcome.SKIPPED: "–"}


def say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def named(only: str) -> dict[str, str]:
    """Experiments by their short names, in order."""
    stems = sorted(path.stem for path in (Path(__file__).parent / "experiments").glob("e*_*.py"))
    found = {stem.partition("_")[0]: stem for stem in stems}
    wanted = [name.strip().lower() for name in only.split(",") if name.strip()]
    if unknown := [name for name in wanted if name not in found]:
        raise SystemExit(f"There is no experiment {', '.join(unknown)}. There are: {', '.join(found)}.")
    return {name: stem for name, stem in found.items() if not wanted or name in wanted}


async def tried(stem: str, seed: int, runs: int) -> str:
    """A line about one experiment. Raises what broke it."""
    run: Run = importlib.import_module(f"tests.chaos.experiments.{stem}").run
    async with asyncio.timeout(LIMIT_SECONDS + runs):
        figures = await run(seed, runs)
    return "; ".join(f"{name}: {figure}" for name, figure in figures.items())


def one(stem: str, seed: int, runs: int) -> Outcome:
    """Runs an experiment in this process, and tells of it."""
    start, outcome = time.monotonic(), Outcome.HELD
    logs.configure_logging("error", "json")
    try:
        with adopting():
            told = asyncio.run(tried(stem, seed, runs))
    except Skipped as reason:
        told, outcome = f"skipped: {reason}", Outcome.SKIPPED
    except Violation as violation:
        told, outcome = "\n".join((f"VIOLATION: {violation}", *getattr(violation, "__notes__", ()))), Outcome.BROKEN
    except Exception as error:
        told, outcome = f"BROKEN: {type(error).__name__}: {error}\n{traceback.format_exc()}", Outcome.BROKEN
    say(f"{MARKS[outcome]} {stem} ({time.monotonic() - start:.0f} s, {_worked():.0f} of work): {told}")
    return outcome


def _worked() -> float:
    """Seconds of a core, of this process and all that ended below it."""
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)


async def all_of(names: Sequence[str], seed: int, runs: int) -> dict[str, Outcome]:
    """Each in a process of its own, three at a time: two that mostly wait beside one that mostly works."""
    busy, idle = deque(name for name in names if name in BUSY), deque(name for name in names if name not in BUSY)
    found = dict[str, Outcome]()

    async def lane(*lines: deque[str]) -> None:
        while line := next(filter(None, lines), None):
            name = line.popleft()
            arguments = ("--seed", str(seed), "--runs", str(runs), "--only", name, "--beside")
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tests.chaos", *arguments)
            code = await process.wait()
            found[name] = Outcome(code) if code in (0, 1, 2) else Outcome.BROKEN

    await asyncio.gather(lane(busy, idle), lane(idle, busy), lane(idle))
    return found


def main() -> int:
    given = _given()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    chosen = named(given.only)
    if given.beside:
        _end_with_parent()
        [stem] = chosen.values()
        return one(stem, seed, given.runs).value
    say(f"seed {seed}")
    began = time.monotonic()
    found = asyncio.run(all_of(list(chosen), seed, given.runs))
    broken, skipped = (
        sorted(name for name in found if found[name] is each) for each in (Outcome.BROKEN, Outcome.SKIPPED)
    )
    held = len(chosen) - len(broken) - len(skipped)
    say(f"{held} held, {len(broken)} broken{_listed(broken)}, {len(skipped)} skipped{_listed(skipped)}")
    say(f"{time.monotonic() - began:.0f} s; again with: make chaos SEED={seed} RUNS={given.runs}")
    return 1 if broken else 0


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=None, help="where chance begins; printed, so that a failure can be had again"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"builds of the longest experiment ({RUNS})")
    parser.add_argument("--only", default="", help="experiments by their numbers: e01,e09")
    parser.add_argument("--beside", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def _end_with_parent() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


if __name__ == "__main__":
    sys.exit(main())
