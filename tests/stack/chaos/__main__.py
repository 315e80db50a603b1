"""`python -m tests.stack.chaos [--seed N] [--runs N] [--only e01,e03]`: breaks the stack in every way it is built for."""

import argparse
import asyncio
import secrets
import sys
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping

from tests.chaos.experiments import Figures
from tests.chaos.harness import Violation, adopting
from tests.stack.chaos import kills, outages, storm

EXPERIMENTS: Mapping[str, Callable[[int, int], Awaitable[Figures]]] = {
    "e01": kills.kill_at_random,
    "e03": kills.stop_and_continue,
    "e04": kills.cut_power,
    "e05": outages.lose_redis,
    "e06": outages.repeat_messages,
    "e07": outages.lose_answers,
    "e08": outages.throttle_tables,
    "e13": kills.restart_in_turn,
    "e17": storm.cut_readers,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos-stack")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    parser.add_argument("--runs", type=int, default=10, help="builds of e01, rounds of e03 and e04")
    parser.add_argument("--only", default="", help=f"some of {', '.join(EXPERIMENTS)}")
    asked = parser.parse_args()
    names = [name.strip() for name in asked.only.split(",") if name.strip()] or list(EXPERIMENTS)
    if unknown := [name for name in names if name not in EXPERIMENTS]:
        parser.error(f"There is no experiment {', '.join(unknown)}.")
    _print(f"seed {asked.seed}, runs {asked.runs}")
    broken = [name for name in names if not _run_experiment(name, asked.seed, asked.runs)]
    _print(f"{len(names) - len(broken)} of {len(names)} held" + (f"; broken: {', '.join(broken)}" if broken else ""))
    return bool(broken)


def _run_experiment(name: str, seed: int, runs: int) -> bool:
    began = time.monotonic()
    try:
        with adopting():
            figures = asyncio.run(_get_figures(name, seed, runs))
    except Violation as violation:
        told, holds = "\n".join((f"VIOLATION: {violation}", *getattr(violation, "__notes__", ()))), False
    except Exception as error:
        told, holds = f"BROKEN: {type(error).__name__}: {error}\n{traceback.format_exc()}", False
    else:
        told, holds = "; ".join(f"{name}: {figure}" for name, figure in figures.items()), True
    _print(f"{'✔' if holds else '✘'} {name} ({time.monotonic() - began:.0f} s): {told}")
    return holds


async def _get_figures(name: str, seed: int, runs: int) -> Figures:
    return await EXPERIMENTS[name](seed, runs)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
