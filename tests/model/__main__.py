"""`python -m tests.model [--executors 2 --stages 2 --commands 3 --crashes 2]`: checks the table of states."""

import argparse
import sys
import time

from tests.model.state import Bounds
from tests.model.state_space import explore

NUMBERS = [name for name, kind in Bounds.__annotations__.items() if kind is int]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.model", description="Visits every state a build can come to."
    )
    for name in NUMBERS:
        parser.add_argument(f"--{name}", type=int, default=Bounds._field_defaults[name])
    began = time.monotonic()
    explored = explore(Bounds(**vars(parser.parse_args())))
    seconds = time.monotonic() - began
    sys.stdout.write(f"{explored.states:,} states, {explored.steps:,} steps, {seconds:.1f} s\n")
    sys.stdout.write(f"{explored.broken}\n" if explored.broken else "Every rule holds.\n")
    return 1 if explored.broken else 0


if __name__ == "__main__":
    sys.exit(main())
