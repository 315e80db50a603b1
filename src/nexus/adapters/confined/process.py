"""One run of one confined process, seen from the server: start, feed, listen, and an end in every case."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from nexus.adapters.confined.inside.harness import MEMORY_EXIT
from nexus.adapters.confined.inside.results import DEEPEST_VALUE, LONGEST_ERROR, shorten_text
from nexus.adapters.confined.inside.walls import Plan
from nexus.domain.core.errors import Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.code import TESTS, Limits, Outcome, Program, TestResult

_LAUNCHER = Path(__file__).parent / "inside" / "launcher.py"
_START_SECONDS = 15.0
_LONGEST_NAME = 300
_CHUNK = 65_536


class Run(Struct, frozen=True, kw_only=True):
    """What is run: `function` with `arguments`, or the tests when there is no function."""

    program: Program
    limits: Limits
    plan: Plan
    function: str | None = None
    arguments: JSON = {}


class _Started(Struct, tag="started", tag_field="type"):
    pass


class _Refused(Struct, tag="refused", tag_field="type"):
    reason: str


class _Tested(Struct, tag="tested", tag_field="type"):
    name: str
    passed: bool
    error: str | None = None
    seconds: float = 0.0


class _Ended(Struct, tag="ended", tag_field="type"):
    status: Literal["ok", "raised", "out_of_memory", "too_much_output"]
    value: Any = None
    error: str | None = None


_Frame = _Started | _Refused | _Tested | _Ended
_frames: msgspec.json.Decoder[_Frame] = msgspec.json.Decoder(_Frame)


async def run_isolated_program(run: Run, workspaces: Path) -> tuple[Outcome, list[TestResult]]:
    """Unavailable when the walls could not be built; everything else is an Outcome."""
    async with _make_temp_directory(workspaces) as directory, start_python_process(directory) as process:
        conversation = _Conversation(process, run.limits)
        await conversation.communicate_with_process(_encode_run_request(run, directory))
    outcome, tested = conversation.make_run_outcome(), conversation.results
    passed = sum(result.passed for result in tested)
    counted = {"passed": passed, "failed": len(tested) - passed}
    if run.function is None and outcome.status == "ok" and outcome.value != counted:
        error = "The results of the tests contradict each other"
        return msgspec.structs.replace(outcome, status="crashed", value=None, error=error), []
    return outcome, tested


@contextlib.asynccontextmanager
async def _make_temp_directory(workspaces: Path) -> AsyncIterator[Path]:
    made = Path(tempfile.mkdtemp(prefix="run-", dir=workspaces))
    try:
        yield made
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, made, ignore_errors=True))


@contextlib.asynccontextmanager
async def start_python_process(directory: Path, script: Path = _LAUNCHER) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python without environment and packages that runs `script` in a directory. Unavailable when it does not start."""
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", "-u", "-X", "utf8", str(script)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            cwd=directory,
            start_new_session=True,
        )
    except OSError as error:  # no process, no memory or no descriptor is left
        raise Unavailable(f"The confined process did not start: {error.strerror}.", part="code") from error
    try:
        yield process
    finally:
        kill_process_group(process)
        await asyncio.shield(_drain_pipes(process))


async def _drain_pipes(process: asyncio.subprocess.Process) -> None:
    """A pipe that nobody reads to its end would stay open for ever."""
    assert process.stdout is not None
    assert process.stderr is not None
    async with asyncio.timeout(_START_SECONDS):
        await asyncio.gather(process.stdout.read(), process.stderr.read(), process.wait())


def kill_process_group(process: asyncio.subprocess.Process) -> None:
    """The whole group, at once; the namespace of processes goes with its first one."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _encode_run_request(run: Run, directory: Path) -> bytes:
    """For a call, the program without its tests. For tests, the same first, then apart from it what only their judge may know."""
    tests = {path: text for path, text in run.program.files.items() if path.startswith(TESTS)}
    judged = {path: text for path, text in run.program.files.items() if path not in tests}
    request = {
        "server": os.getpid(),
        "directory": str(directory),
        "plan": run.plan._asdict(),
        "files": judged,
        "function": run.function,
        "arguments": run.arguments,
        "seconds": run.limits.seconds,
        "memory_mb": run.limits.memory_mb,
        "output_bytes": run.limits.output_bytes,
    }
    if run.function is not None:
        return _encode_request_frame(request)
    collected = [path for path in tests if _is_test_file(path)]
    return _encode_request_frame(request) + _encode_request_frame(
        {**request, "files": tests, "judged": list(judged), "tests": collected}
    )


def _encode_request_frame(request: dict[str, Any]) -> bytes:
    text = json.dumps(request).encode()
    return b"%d\n%b" % (len(text), text)


def _is_test_file(path: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == "tests" and name.startswith("test_") and name.endswith(".py")


class _Conversation:
    """Listens until the process has ended. What it hears was made by the program and is believed only in its form."""

    def __init__(self, process: asyncio.subprocess.Process, limits: Limits) -> None:
        self._process = process
        self._limits = limits
        self._output = bytearray()
        self._ended: _Ended | None = None
        self._stopped: Literal["timed_out", "too_much_output"] | None = None
        self._garbled = False
        self._seconds = 0.0
        self.results: list[TestResult] = []

    async def communicate_with_process(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        timer = loop.call_later(_START_SECONDS, kill_process_group, self._process)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write_stdin(request))
                group.create_task(self._read_stdout())
                refusal = await self._read_start_frame()
                timer.cancel()
                began = time.perf_counter()
                if refusal is None:
                    timer = loop.call_later(self._limits.seconds, self._kill_child_process, "timed_out")
                    await self._read_result_frames()
            await self._process.wait()
            self._seconds = round(time.perf_counter() - began, 6)
        finally:
            timer.cancel()
        if refusal is not None:
            raise Unavailable(f"The confined process did not start: {refusal}", part="code")

    async def _write_stdin(self, request: bytes) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        ended_early = (BrokenPipeError, ConnectionResetError, RuntimeError)  # the last is uvloop's word for it
        with contextlib.suppress(*ended_early):  # the frames say why
            pipe.write(request)
            await pipe.drain()
            pipe.close()

    async def _read_start_frame(self) -> str | None:
        """None when the walls stand, else why they do not."""
        pipe = self._process.stderr
        assert pipe is not None
        line = await pipe.readline()
        frame = _decode_frame(line)
        if isinstance(frame, _Started):
            return None
        said = frame.reason if isinstance(frame, _Refused) else (line + await pipe.read(4096)).decode(errors="replace")
        kill_process_group(self._process)
        return shorten_text(said.strip() or "no word from it", 500)

    async def _read_stdout(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        while chunk := await pipe.read(_CHUNK):
            room = self._limits.output_bytes - len(self._output)
            self._output += chunk[: max(room, 0)]
            if len(chunk) > room:
                self._kill_child_process("too_much_output")

    async def _read_result_frames(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        heard = bytearray()
        most = self._limits.output_bytes + 1024
        while chunk := await pipe.read(_CHUNK):
            heard += chunk[: max(most + 1 - len(heard), 0)]
            if len(heard) > most:
                self._kill_child_process("too_much_output")
        for line in heard.splitlines():
            self._handle_result_frame(_decode_frame(bytes(line)))

    def _handle_result_frame(self, frame: _Frame | None) -> None:
        if isinstance(frame, _Ended) and self._ended is None and _is_shallow_json(frame.value):
            self._ended = frame
        elif isinstance(frame, _Tested) and self._ended is None:
            error = None if frame.error is None else shorten_text(frame.error, LONGEST_ERROR + _LONGEST_NAME)
            name = shorten_text(frame.name, _LONGEST_NAME)
            self.results.append(TestResult(name=name, passed=frame.passed, error=error, seconds=frame.seconds))
        else:
            self._garbled = True

    def _kill_child_process(self, status: Literal["timed_out", "too_much_output"]) -> None:
        self._stopped = self._stopped or status
        kill_process_group(self._process)

    def make_run_outcome(self) -> Outcome:
        told = self._classify_outcome()
        output = self._output.decode(errors="replace")
        return msgspec.structs.replace(told, output=output, seconds=self._seconds)

    def _classify_outcome(self) -> Outcome:
        ended, code = self._ended, self._process.returncode
        if self._stopped == "too_much_output" or (ended and ended.status == "too_much_output"):
            return Outcome(
                status="too_much_output", error=f"More than {self._limits.output_bytes} bytes came out of the program"
            )
        if self._stopped == "timed_out" or (ended is None and code == 128 + signal.SIGXCPU):
            return Outcome(status="timed_out", error=f"The program took longer than {self._limits.seconds:g} s")
        if code == MEMORY_EXIT or (ended and ended.status == "out_of_memory"):
            return Outcome(status="out_of_memory", error=f"The program needs more than {self._limits.memory_mb} MB")
        if ended is None or self._garbled:
            return Outcome(status="crashed", error=_describe_exit(code))
        if ended.status == "raised":
            return Outcome(status="raised", error=shorten_text(ended.error or "", LONGEST_ERROR + _LONGEST_NAME))
        return Outcome(status="ok", value=ended.value)


def _decode_frame(line: bytes) -> _Frame | None:
    try:
        return _frames.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return None


def _is_shallow_json(value: Any, left: int = DEEPEST_VALUE + 1) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left >= 0 and all(_is_shallow_json(item, left - 1) for item in inside)


def _describe_exit(code: int | None) -> str:
    number = -code if code is not None and code < 0 else (code or 0) - 128
    if number in {int(known) for known in signal.Signals}:
        return f"The process was ended by {signal.Signals(number).name} and gave no result"
    return f"The process ended by itself with exit code {code} and gave no result"
