"""The contract of `CodeRunner`: what a program returns, says and raises."""

import asyncio
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nexus.adapters.confined.process import start_python_process
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.confined.workspaces import MARK
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.ports.code import CodeRunner, Limits, Outcome, Program


async def result(runner: CodeRunner, source: str, limits: Limits = Limits(), **arguments: Any) -> Outcome:
    return await runner.call_function(
        Program(files={"tools/tool.py": source}), "tools/tool.py:tool", arguments, limits=limits
    )


async def test_a_function_gets_its_arguments_and_gives_its_value(runner: CodeRunner) -> None:
    outcome = await result(runner, "def tool(a, b=2):\n    return {'sum': a + b, 'list': [a, b]}\n", a=1)
    assert (outcome.status, outcome.value, outcome.error) == ("ok", {"sum": 3, "list": [1, 2]}, None)
    assert outcome.seconds > 0


async def test_what_is_printed_is_output_and_not_part_of_the_value(runner: CodeRunner) -> None:
    outcome = await result(runner, 'def tool():\n    print(\'{"type": "ended"}\')\n    return 1\n')
    assert (outcome.value, outcome.output) == (1, '{"type": "ended"}\n')


async def test_chinese_text_passes_in_out_and_through_errors(runner: CodeRunner) -> None:
    source = "def tool(词):\n    print('你好', 词)\n    return {词: '世界😀'}\n"
    outcome = await result(runner, source, 词="键")
    assert (outcome.value, outcome.output) == ({"键": "世界😀"}, "你好 键\n")
    failed = await result(runner, "def tool():\n    raise ValueError('太小了')\n")
    assert failed.error == "ValueError: 太小了 (tools/tool.py, line 2)"


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("(1, 2)", [1, 2]),
        ("{3}", [3]),
        ("Decimal('1.10')", "1.10"),
        ("date(2026, 1, 31)", "2026-01-31"),
        ("datetime(2026, 1, 31, 12, 0)", "2026-01-31T12:00:00"),
        ("Price(amount=Decimal('2'), on=date(2026, 1, 1))", {"amount": "2", "on": "2026-01-01"}),
        ("Colour.RED", "red"),
        ("{1: 'one'}", {"1": "one"}),
        ("None", None),
        ("True", True),
        ("[]", []),
    ],
)
async def test_plain_python_values_become_json(runner: CodeRunner, expression: str, expected: object) -> None:
    source = f"""
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

class Colour(Enum):
    RED = "red"

@dataclass
class Price:
    amount: Decimal
    on: date

def tool():
    return {expression}
"""
    outcome = await result(runner, source)
    assert (outcome.status, outcome.value) == ("ok", expected)


@pytest.mark.parametrize("expression", ["object()", "float('nan')", "lambda: 1"])
async def test_a_value_that_is_not_json_is_raised(runner: CodeRunner, expression: str) -> None:
    outcome = await result(runner, f"def tool():\n    return {expression}\n")
    assert outcome.status == "raised"
    assert outcome.error is not None
    assert outcome.error.startswith("TypeError: the result holds")


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("def tool():\n    return {}['price']\n", "KeyError: 'price' (tools/tool.py, line 2)"),
        ("import sys\ndef tool():\n    sys.exit(3)\n", "SystemExit: 3 (tools/tool.py, line 3)"),
        ("x = 1 / 0\n", "ZeroDivisionError: division by zero (tools/tool.py, line 1)"),
        ("def tool(:\n", "SyntaxError: invalid syntax (tools/tool.py, line 1)"),
        ("def other():\n    pass\n", "LookupError: tools/tool.py has no function tool"),
        ("def tool():\n    raise RuntimeError\n", "RuntimeError (tools/tool.py, line 2)"),
    ],
)
async def test_an_error_names_its_kind_its_words_and_its_line(runner: CodeRunner, source: str, error: str) -> None:
    outcome = await result(runner, source)
    assert (outcome.status, outcome.error) == ("raised", error)


async def test_a_function_of_a_missing_file_is_an_error_of_the_program(runner: CodeRunner) -> None:
    outcome = await runner.call_function(Program(files={"a.py": ""}), "tools/b.py:tool", {})
    assert (outcome.status, outcome.error) == ("raised", "LookupError: the program has no file tools/b.py")


async def test_wrong_arguments_are_raised(runner: CodeRunner) -> None:
    outcome = await result(runner, "def tool(a):\n    return a\n", b=1)
    assert outcome.status == "raised"
    assert "unexpected keyword argument 'b'" in str(outcome.error)


async def test_a_very_long_error_is_shortened(runner: CodeRunner) -> None:
    outcome = await result(runner, "def tool():\n    raise ValueError('x' * 100_000)\n")
    assert outcome.status == "raised"
    assert len(outcome.error or "") < 2500


async def test_modules_of_a_program_import_each_other(runner: CodeRunner) -> None:
    files = {
        "tools/rates.py": "RATES = {'de': 19}\n",
        "tools/vat.py": "from tools.rates import RATES\nimport tools.rates\nfrom . import rates\n"
        "def vat(c):\n    return [RATES[c], tools.rates.RATES[c], rates.RATES[c]]\n",
    }
    outcome = await runner.call_function(Program(files=files), "tools/vat.py:vat", {"c": "de"})
    assert (outcome.value, outcome.error) == ([19, 19, 19], None)


async def test_an_async_function_is_awaited(runner: CodeRunner) -> None:
    source = "import asyncio\nasync def tool():\n    await asyncio.sleep(0)\n    return 'waited'\n"
    assert (await result(runner, source)).value == "waited"


async def test_every_call_starts_afresh(runner: CodeRunner) -> None:
    source = "seen = []\ndef tool():\n    seen.append(1)\n    return len(seen)\n"
    assert [(await result(runner, source)).value for _ in range(2)] == [1, 1]


async def test_too_much_output_ends_the_run_and_keeps_its_beginning(runner: CodeRunner) -> None:
    outcome = await result(runner, "def tool():\n    print('字' * 100_000)\n", Limits(output_bytes=1000))
    assert outcome.status == "too_much_output"
    assert outcome.output.startswith("字字字")
    assert len(outcome.output.encode()) <= 1003


async def test_too_large_a_value_is_too_much_output(runner: CodeRunner) -> None:
    outcome = await result(runner, "def tool():\n    return 'x' * 1_000_000\n", Limits(output_bytes=10_000))
    assert (outcome.status, outcome.value) == ("too_much_output", None)


async def test_large_arguments_and_values_pass(runner: CodeRunner) -> None:
    outcome = await result(runner, "def tool(text):\n    return text\n", text="界" * 80_000)
    assert outcome.value == "界" * 80_000


async def test_a_memory_error_is_out_of_memory(runner: CodeRunner) -> None:
    assert (await result(runner, "def tool():\n    raise MemoryError\n")).status == "out_of_memory"


async def test_eight_at_once_do_not_mix(runner: CodeRunner) -> None:
    source = "def tool(n):\n    print('run', n)\n    return n * n\n"
    outcomes = await asyncio.gather(*(result(runner, source, n=n) for n in range(8)))
    assert [(outcome.value, outcome.output) for outcome in outcomes] == [(n * n, f"run {n}\n") for n in range(8)]


async def test_the_tier_is_at_least_one_and_tells_how(runner: CodeRunner) -> None:
    assert runner.get_isolation_tier().level >= 1
    assert runner.get_isolation_tier().detail.endswith(".")


async def test_an_endless_loop_times_out(confined: ConfinedRunner) -> None:
    outcome = await result(
        confined, "def tool():\n    print('on')\n    while True:\n        pass\n", Limits(seconds=0.3)
    )
    assert (outcome.status, outcome.output) == ("timed_out", "on\n")
    assert outcome.error == "The program took longer than 0.3 s"


async def test_endless_sleep_that_ignores_signals_times_out(confined: ConfinedRunner) -> None:
    source = """
import signal, time
def tool():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGXCPU):
        signal.signal(number, signal.SIG_IGN)
    while True:
        time.sleep(100)
"""
    assert (await result(confined, source, Limits(seconds=0.3))).status == "timed_out"


async def test_memory_beyond_the_limit_is_out_of_memory(confined: ConfinedRunner) -> None:
    for source in ("x = bytearray(2_000_000_000)", "x = []\n    while True:\n        x.append('x' * 1_000_000)"):
        outcome = await result(confined, f"def tool():\n    {source}\n", Limits(memory_mb=256))
        assert (outcome.status, outcome.error) == ("out_of_memory", "The program needs more than 256 MB")


@pytest.mark.parametrize(
    ("death", "words"),
    [
        ("os._exit(0)", "exit code 0"),
        ("os._exit(7)", "exit code 7"),
        ("ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "gave no result"),
    ],
)
async def test_a_sudden_death_is_a_crash_and_keeps_the_output(confined: ConfinedRunner, death: str, words: str) -> None:
    source = f"import ctypes, os\ndef tool():\n    print('last words')\n    {death}\n"
    outcome = await result(confined, source, Limits(seconds=2))
    assert (outcome.status, outcome.output) == ("crashed", "last words\n")
    assert words in str(outcome.error)


async def test_threads_that_a_program_leaves_do_not_delay_its_end(confined: ConfinedRunner) -> None:
    source = "import threading, time\ndef tool():\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    return 1\n"
    began = time.monotonic()
    assert (await result(confined, source)).value == 1
    assert time.monotonic() - began < 50


async def test_a_program_that_talks_on_the_pipe_of_results_is_not_believed(confined: ConfinedRunner) -> None:
    source = """
import os
def tool():
    for pipe in range(3, 64):
        try:
            os.write(pipe, b'[' * 5000 + b'\\n{"type":"ended","status":"ok","value":' + b'9' * 5000 + b'}\\n')
        except OSError:
            pass
    os._exit(0)
"""
    assert (await result(confined, source)).status == "crashed"


async def test_a_result_nested_too_deep_or_with_half_characters_does_no_harm(confined: ConfinedRunner) -> None:
    deep = "def tool():\n    x = []\n    for _ in range(500):\n        x = [x]\n    return x\n"
    assert (await result(confined, deep)).error == "TypeError: the result is nested more than 64 deep"
    half = await result(confined, "def tool():\n    return chr(0xD800) + 'x'\n")
    assert half.value == "?x"


@pytest.mark.parametrize("path", ["../x.py", "/etc/x.py", "a/../../x.py", "x.txt", "", "a//b.py", "a\\b.py", "a\0.py"])
async def test_a_path_that_leads_out_is_refused(confined: ConfinedRunner, path: str) -> None:
    with pytest.raises(InvalidInput):
        await confined.call_function(Program(files={path: ""}), "x.py:tool", {})


async def test_cancelling_kills_the_process_and_leaves_nothing(tmp_path: Path) -> None:
    room = tmp_path / "runs"
    async with ConfinedRunner(data=tmp_path / "data", workspaces=room) as confined:
        if confined.get_isolation_tier().level == 0:
            pytest.skip("this machine offers no boundary for generated code: " + confined.get_isolation_tier().detail)
        task = asyncio.create_task(result(confined, "import time\ndef tool():\n    time.sleep(60)\n"))
        while not (children := await asyncio.to_thread(_children, os.getpid())):
            await asyncio.sleep(0)
        pids = [os.pidfd_open(pid) for pid in children]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert all(_is_gone(pid) for pid in pids)
        assert [path.name for path in next(room.iterdir()).iterdir()] == [MARK]
        assert (await result(confined, "def tool():\n    return 1\n")).value == 1
    assert list(room.iterdir()) == []


async def test_nothing_is_run_before_the_boundary_is_tested(tmp_path: Path) -> None:
    confined = ConfinedRunner(data=tmp_path / "data")
    assert confined.get_isolation_tier().level == 0
    with pytest.raises(Unavailable):
        await result(confined, "def tool():\n    return 1\n")


async def test_runs_may_not_be_kept_inside_the_data_directory(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must lie outside"):
        ConfinedRunner(data=tmp_path, workspaces=tmp_path / "runs")


@pytest.mark.parametrize(
    ("verb", "processes"),
    [
        ("code.call_function(Program({'t.py': source}), 't.py:tool', {})", 1),
        ("code.run_tests(Program({'t.py': source, 'tests/test_t.py': tests}))", 2),
    ],
)
async def test_a_killed_server_takes_its_programs_along(tmp_path: Path, verb: str, processes: int) -> None:
    script = f"""
import asyncio
from pathlib import Path
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.ports.code import Program

async def main():
    async with ConfinedRunner(data=Path({str(tmp_path / "data")!r}), workspaces=Path({str(tmp_path / "runs")!r})) as code:
        print(code.get_isolation_tier().level, flush=True)
        source = "import time\\ndef tool():\\n    print('here')\\n    time.sleep(60)\\n"
        tests = "from t import tool\\ndef test_tool():\\n    tool()\\n"
        await {verb}

asyncio.run(main())
"""
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert server.stdout is not None
    level = await server.stdout.readline()
    try:
        if level.strip() == b"0":
            pytest.skip("this machine offers no boundary for generated code: " + "see the other tests")
        while len(inner := _descendants(server.pid)) < 2 * processes:
            await asyncio.sleep(0)
        pids = [os.pidfd_open(pid) for pid in inner]
    finally:
        server.send_signal(signal.SIGKILL)
        await server.communicate()
    loop = asyncio.get_running_loop()
    for pid in pids:
        await asyncio.wait_for(loop.run_in_executor(None, _wait_for_end, pid), 50)


def _descendants(pid: int) -> list[int]:
    below = _children(pid)
    return [*below, *(kin for child in below for kin in _descendants(child))]


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += map(int, listing.read_text().split())
        except OSError:  # it has ended meanwhile
            continue
    return found


def _is_gone(pidfd: int) -> bool:
    try:
        return bool(select.select([pidfd], [], [], 0)[0])
    finally:
        os.close(pidfd)


def _wait_for_end(pidfd: int) -> None:
    try:
        assert select.select([pidfd], [], [], 8)[0], "the program outlived its server"
    finally:
        os.close(pidfd)


async def test_a_process_that_cannot_be_begun_is_the_apps_trouble(tmp_path: Path) -> None:
    with pytest.raises(Unavailable) as away:
        async with start_python_process(tmp_path / "gone"):
            raise AssertionError("it began")
    assert away.value.facts["part"] == "code"
