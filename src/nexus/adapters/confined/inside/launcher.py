"""Started as `python -I -S launcher.py` with an empty environment; knows the standard library and its neighbours only.

In: JSON requests on standard input, one for a call; for tests two, first what the judged may know. Out: what the program prints on standard output, frames on standard error.
"""
# ruff: noqa: PTH100, PTH101, PTH102, PTH118, PTH120 (importing pathlib would cost every call some milliseconds)

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

_SOURCE = os.path.dirname(os.path.abspath(__file__)).removesuffix(
    os.path.join("nexus", "adapters", "confined", "inside")
)
sys.path.append(_SOURCE)

from nexus.adapters.confined.inside import harness, kernel, walls  # noqa: E402 - found through the line above

sys.path.remove(_SOURCE)

if TYPE_CHECKING:
    from nexus.adapters.confined.inside import judge


def main() -> NoReturn:
    request = _read_request()
    os.environ.clear()  # the interpreter puts a locale there by itself
    if request["function"] is not None:
        _run_request_isolated(request, _redirect_std_streams(), None)
    judged = _start_tested_process(request)
    request = _read_request()  # only now: the judged was begun before the tests were read
    from nexus.adapters.confined.inside import checks, judge  # noqa: F401 - loaded while its file can be read

    _run_request_isolated(request, _redirect_std_streams(), judge.Link(*judged, request["output_bytes"]))


def _read_request() -> dict[str, Any]:
    """A length in decimal, a line feed, and so many bytes of JSON; not a byte of what follows."""
    head = b""
    while not head.endswith(b"\n") and len(head) < 20:
        head += os.read(0, 1) or b"\n"
    left, parts = int(head), list[bytes]()
    while left and (part := os.read(0, min(left, 1 << 20))):
        parts.append(part)
        left -= len(part)
    request: dict[str, Any] = json.loads(b"".join(parts))
    return request


def _start_tested_process(request: dict[str, Any]) -> tuple[int, int]:
    """Begins the process that runs what the tests call, and gives the pipes to it: for questions, and for answers."""
    os.chmod(request["directory"], 0o711)  # noqa: S103 - its two halves are closed, and may belong to another user
    above = os.getpid()
    heard, questions = os.pipe()
    answers, told = os.pipe()
    if os.fork():
        os.close(heard)
        os.close(told)
        return questions, answers
    try:
        from nexus.adapters.confined.inside import judged

        for handle in (questions, answers):
            os.close(handle)
        os.close(_redirect_std_streams())  # it has no part in the results
        kernel.die_with_parent()
        if os.getppid() == above:
            request = {**request, "directory": _make_subdirectory(request, "judged")}
            _fork_isolated_process(request, (heard, told), lambda root: judged.serve_test_requests(heard, told, root))
    except Exception as error:
        judged.send_answer(told, {"id": 0, "refused": f"{type(error).__name__}: {error}"})
    os._exit(1)


def _make_subdirectory(request: dict[str, Any], name: str) -> str:
    made = os.path.join(request["directory"], name)
    os.mkdir(made, 0o700)
    return made


def _run_request_isolated(request: dict[str, Any], pipe: int, link: "judge.Link | None") -> NoReturn:
    told = harness.Told(pipe, request["output_bytes"])

    def start(root: str) -> None:
        if link is not None and (reason := link.wait_until_isolated()):
            told.send_frame({"type": "refused", "reason": reason})
            os._exit(1)
        told.send_frame({"type": "started"})
        if link is None:
            harness.run_program_and_exit(
                lambda: harness.call_program_function(request["function"], request["arguments"]), told, root
            )
        else:
            harness.run_program_and_exit(lambda: harness.run_tests(request, told, root, link), told, root)

    try:
        if os.getppid() != request["server"]:
            os._exit(1)
        if link is not None:
            request = {**request, "directory": _make_subdirectory(request, "judge")}
        _fork_isolated_process(request, (pipe,), start)
    except Exception as error:
        told.send_frame({"type": "refused", "reason": f"{type(error).__name__}: {error}"})
    os._exit(1)


def _redirect_std_streams() -> int:
    """Frames get a pipe of their own; what the program writes to standard error is output like any other."""
    pipe = os.dup(2)
    os.dup2(1, 2)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return pipe


def _fork_isolated_process(request: dict[str, Any], pipes: tuple[int, ...], work: Callable[[str], None]) -> None:
    """Forks into the walls; the child does the work, which never returns, and this process ends as it ends."""
    above, plan = os.getppid(), walls.Plan(**request["plan"])
    walls.unshare_namespaces(plan)
    kernel.die_with_parent()  # not earlier: a change of rights takes it back
    if os.getppid() != above:
        os._exit(1)
    alive, held = os.pipe()  # the second end is open for as long as this process lives
    child = os.fork()
    if child:
        _exit_with_child_status(child, pipes, request["seconds"])
    os.close(held)
    os.set_blocking(alive, False)
    root = walls.enter_isolation(plan, request["directory"], request["files"])
    walls.set_resource_limits(memory_mb=request["memory_mb"], seconds=request["seconds"], alone=plan.user is not None)
    walls.lock_down_process(plan, request["directory"])
    _exit_if_orphaned(alive)
    work(root)


def _exit_if_orphaned(alive: int) -> None:
    """Whoever died before this process asked to die with it has left the pipe closed."""
    try:
        if os.read(alive, 1) == b"":
            os._exit(1)
    except BlockingIOError:
        os.close(alive)


def _exit_with_child_status(child: int, pipes: tuple[int, ...], seconds: float) -> NoReturn:
    """Ends as the program ended: with its exit code, or with 128 and the signal."""
    for handle in (0, 1, 2, *pipes):
        os.close(handle)
    _, status, used = os.wait4(child, 0)
    code = os.waitstatus_to_exitcode(status)
    if code == -signal.SIGKILL and used.ru_utime + used.ru_stime >= int(seconds) + 1:
        code = -signal.SIGXCPU
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    main()
