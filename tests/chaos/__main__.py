"""`python -m tests.chaos [--seed N] [--runs N] [--only e01,e02]`: breaks nexus in every way it is built for, and looks at what is left."""

import argparse
import asyncio
import importlib
import secrets
import sys
import time
import traceback
from pathlib import Path

from tests.chaos.experiments import Run, Skipped
from tests.chaos.harness import Violation, adopting

RUNS = 200
LIMIT_SECONDS = 300


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


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument(
        "--seed", type=int, default=None, help="where chance begins; printed, so that a failure can be had again"
    )
    parser.add_argument("--runs", type=int, default=RUNS, help=f"builds of the longest experiment ({RUNS})")
    parser.add_argument("--only", default="", help="experiments by their numbers: e01,e09")
    given = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    say(f"seed {seed}")
    began, broken, skipped, chosen = time.monotonic(), list[str](), list[str](), named(given.only)
    for name, stem in chosen.items():
        start = time.monotonic()
        try:
            with adopting():
                told, mark = asyncio.run(tried(stem, seed, given.runs)), "✔"
        except Skipped as reason:
            told, mark = f"skipped: {reason}", "–"
            skipped.append(name)
        except Violation as violation:
            told, mark = f"VIOLATION: {violation}", "✘"
            broken.append(name)
        except Exception as error:
            told, mark = f"BROKEN: {type(error).__name__}: {error}\n{traceback.format_exc()}", "✘"
            broken.append(name)
        say(f"{mark} {stem} ({time.monotonic() - start:.0f} s): {told}")
    held = len(chosen) - len(broken) - len(skipped)
    say(f"{held} held, {len(broken)} broken{_listed(broken)}, {len(skipped)} skipped{_listed(skipped)}")
    say(f"{time.monotonic() - began:.0f} s; again with: make chaos SEED={seed} RUNS={given.runs}")
    return 1 if broken else 0


def _listed(names: list[str]) -> str:
    return f" ({', '.join(names)})" if names else ""


if __name__ == "__main__":
    sys.exit(main())
