"""`make stack-down`: ends the stack that runs here."""

import json
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main() -> None:
    listed = ROOT / ".stack/processes.json"
    if not listed.exists():
        sys.stdout.write("No stack runs here.\n")
        return
    processes = json.loads(listed.read_text())
    for one in reversed(processes):
        with suppress(ProcessLookupError):
            os.kill(one["pid"], signal.SIGTERM)
    listed.unlink(missing_ok=True)
    sys.stdout.write(f"Told {len({one['pid'] for one in processes})} processes to end.\n")


if __name__ == "__main__":
    main()
