"""`make stack`: the processes of compose.yaml on loopback, without a container: two api, two workers, nginx, Redis, tables and queues.

Prints the address once all are ready, writes what runs into `.stack/processes.json`, and stays until Ctrl-C or SIGTERM."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from tests.stack.processes import Stack

ROOT = Path(__file__).parents[2]


def main() -> int:
    parser = argparse.ArgumentParser(prog="make stack")
    parser.add_argument("--port", type=int, default=8000, help="the port of nginx; 0: any free one")
    parser.add_argument("--directory", type=Path, default=ROOT / ".stack", help="data, logs and processes.json")
    asked = parser.parse_args()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    with Stack(asked.directory, port=asked.port) as stack:
        stack.start()
        sys.stdout.write(f"nexus answers at {stack.url}; logs and processes are in {asked.directory}; stop: Ctrl-C\n")
        sys.stdout.flush()
        stopping.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
