"""Started as `python -I -S launcher.py` with an empty environment; knows the standard library and its neighbours only.

In: one JSON request on standard input. Out: what the program prints on standard output, frames on standard error.
"""
# ruff: noqa: PTH100, PTH118, PTH120 (importing pathlib would cost every call some milliseconds)

import json
import os
import signal
import sys
from typing import Any, NoReturn

_SOURCE = os.path.dirname(os.path.abspath(__file__)).removesuffix(
    os.path.join("nexus", "adapters", "confined", "inside")
)
sys.path.append(_SOURCE)

from nexus.adapters.confined.inside import harness, kernel, walls  # noqa: E402 - found through the line above

sys.path.remove(_SOURCE)


def main() -> NoReturn:
    request = json.loads(sys.stdin.buffer.read())
    os.environ.clear()  # the interpreter puts a locale there by itself
    pipe = _own_pipes()
    told = harness.Told(pipe, request["output_bytes"])
    plan = walls.Plan(**request["plan"])
    if request["function"] is None:
        from nexus.adapters.confined.inside import checks  # noqa: F401 - loaded while its file can be read
    try:
        walls.unshare(plan)
        kernel.die_with_parent()  # not earlier: a change of rights takes it back
        if os.getppid() != request["server"]:
            os._exit(1)
        alive, held = os.pipe()  # the second end is open for as long as this process lives
        child = os.fork()
        if child:
            _wait(child, pipe, request["seconds"])
        os.close(held)
        os.set_blocking(alive, False)
        _inside(request, plan, told, alive)
    except Exception as error:
        told.tell({"type": "refused", "reason": f"{type(error).__name__}: {error}"})
    os._exit(1)


def _own_pipes() -> int:
    """Frames get a pipe of their own; what the program writes to standard error is output like any other."""
    pipe = os.dup(2)
    os.dup2(1, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def _inside(request: dict[str, Any], plan: walls.Plan, told: harness.Told, alive: int) -> None:
    root = walls.enter(plan, request["directory"], request["files"])
    walls.limit(memory_mb=request["memory_mb"], seconds=request["seconds"], alone=plan.user is not None)
    walls.close(plan, request["directory"])
    _end_if_alone(alive)
    told.tell({"type": "started"})
    if request["function"] is None:
        harness.run(lambda: harness.test(request["tests"], told, root), told, root)
    else:
        harness.run(lambda: harness.call(request["function"], request["arguments"]), told, root)


def _end_if_alone(alive: int) -> None:
    """Whoever died before this process asked to die with it has left the pipe closed."""
    try:
        if os.read(alive, 1) == b"":
            os._exit(1)
    except BlockingIOError:
        os.close(alive)


def _wait(child: int, pipe: int, seconds: float) -> NoReturn:
    """Ends as the program ended: with its exit code, or with 128 and the signal."""
    for handle in (0, 1, 2, pipe):
        os.close(handle)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL and used.ru_utime + used.ru_stime >= int(seconds) + 1:
        code = -signal.SIGXCPU
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
