"""Started as `python -I -S reader.py` with an empty environment: reads the signature of a function out of source text, and ends.

In: one JSON object, `{"source", "function"}`. Out: one JSON object, `{"spec"}` or `{"wrong"}`. Nothing of the source is run; what it does
to the parser ends here."""
# ruff: noqa: PTH100, PTH118, PTH120 (importing pathlib would cost every call some milliseconds)

import contextlib
import json
import os
import resource
import sys
from typing import Any

_SOURCE = os.path.dirname(os.path.abspath(__file__)).removesuffix(
    os.path.join("nexus", "adapters", "confined", "inside")
)
sys.path.append(_SOURCE)

from nexus.domain.tools import signatures  # noqa: E402 - found through the line above

CPU_SECONDS, MEMORY_BYTES = 2, 512 * 1024 * 1024


def main() -> None:
    processor = (CPU_SECONDS, CPU_SECONDS + 1)  # the first ends it with a signal that says why
    limits = {resource.RLIMIT_CPU: processor, resource.RLIMIT_AS: (MEMORY_BYTES,) * 2, resource.RLIMIT_CORE: (0, 0)}
    for kind, most in limits.items():
        with contextlib.suppress(ValueError, OSError):  # a lower limit is in force already, or this system has none
            resource.setrlimit(kind, most)
    asked = json.loads(sys.stdin.buffer.read())
    sys.stdout.write(json.dumps(_parse_signature(asked["source"], asked["function"])))


def _parse_signature(source: str, function: str) -> dict[str, Any]:
    try:
        return {"spec": signatures.parse_tool_signature(source, function)}
    except signatures.NotPossible as error:
        return {"wrong": str(error)[:2000]}


if __name__ == "__main__":
    main()
