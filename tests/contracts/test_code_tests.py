"""The contract of `CodeRunner.test`: what the tests of a program tell."""

import asyncio
import subprocess
import sys
from pathlib import Path

from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.ports.code import CodeRunner, Limits, Program

TESTED = Program(
    files={
        "tools/vat.py": "def vat(n):\n    if n < 0:\n        raise ValueError('below zero')\n    return n * 1.19\n",
        "tests/test_vat.py": """
import pytest
from pytest import raises

from tools.vat import vat


def test_hundred():
    assert vat(100) == pytest.approx(119)


def test_wrong():
    assert round(vat(100)) == 120


def test_below_zero():
    with raises(ValueError, match="below"):
        vat(-1)


def test_raises_nothing():
    with raises(ValueError):
        vat(1)


def test_breaks():
    vat(None)


def test_wrong_words():
    with raises(ValueError, match="above"):
        vat(-1)


@pytest.mark.parametrize("n, expected", [(0, 0), (1, 2)])
def test_some(n, expected):
    assert vat(n) == expected
""",
        "tests/other.py": "def test_is_not_collected():\n    assert False\n",
    }
)


async def test_tests_are_told_one_by_one_in_the_order_of_the_file(runner: CodeRunner) -> None:
    outcome, results = await runner.run_tests(TESTED)
    assert (outcome.status, outcome.value) == ("ok", {"passed": 3, "failed": 5})
    assert [(test.name.removeprefix("tests/test_vat.py::test_"), test.passed) for test in results] == [
        ("hundred", True),
        ("wrong", False),
        ("below_zero", True),
        ("raises_nothing", False),
        ("breaks", False),
        ("wrong_words", False),
        ("some[0-0]", True),
        ("some[1-2]", False),
    ]


async def test_a_failed_test_says_why_and_where(runner: CodeRunner) -> None:
    _, results = await runner.run_tests(TESTED)
    errors = {test.name.rpartition("_")[2]: test.error or "" for test in results}
    assert "round(vat(100)) == 120" in errors["wrong"]
    assert "(tests/test_vat.py, line 13)" in errors["wrong"]
    assert "DID NOT RAISE" in errors["nothing"]
    assert errors["breaks"].startswith("TypeError: ")
    assert "(tools/vat.py, line 2)" in errors["breaks"]
    assert "does not match" in errors["words"]


async def test_a_test_file_that_cannot_be_loaded_is_a_failed_test(runner: CodeRunner) -> None:
    files = {"tests/test_a.py": "import nowhere\n", "tests/test_b.py": "def test_fine():\n    pass\n"}
    outcome, results = await runner.run_tests(Program(files=files))
    assert outcome.status == "ok"
    assert [(test.name, test.passed) for test in results] == [
        ("tests/test_a.py", False),
        ("tests/test_b.py::test_fine", True),
    ]
    assert "No module named 'nowhere'" in str(results[0].error)


async def test_a_program_without_tests_is_fine_and_says_so(runner: CodeRunner) -> None:
    outcome, results = await runner.run_tests(Program(files={"tools/a.py": ""}))
    assert (outcome.status, outcome.value, results) == ("ok", {"passed": 0, "failed": 0}, [])


async def test_a_failed_assertion_shows_what_it_compared(confined: ConfinedRunner) -> None:
    _, results = await confined.run_tests(TESTED)
    assert results[1].error == (
        "AssertionError: assert round(vat(100)) == 120: left is 119, right is 120 (tests/test_vat.py, line 13)"
    )


async def test_the_same_tests_give_the_same_names_and_ends_under_pytest(
    confined: ConfinedRunner, tmp_path: Path
) -> None:
    for path, text in TESTED.files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    real = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "pytest", "-rA", "-q", "--no-header", "-p", "no:cacheprovider", "tests"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    _, results = await confined.run_tests(TESTED)
    said = {line.split()[1]: line.startswith("PASSED") for line in real.stdout.splitlines() if "PASSED tests" in line}
    said |= {line.split()[1]: False for line in real.stdout.splitlines() if line.startswith("FAILED tests")}
    assert {test.name: test.passed for test in results} == said


async def test_tests_in_classes_and_async_tests_run_too(confined: ConfinedRunner) -> None:
    source = (
        "class TestVat:\n    def test_a(self):\n        assert 1 == 1\n\nasync def test_b():\n    assert 1 in [2]\n"
    )
    _, results = await confined.run_tests(Program(files={"tests/test_x.py": source}))
    assert [(test.name, test.passed) for test in results] == [
        ("tests/test_x.py::TestVat::test_a", True),
        ("tests/test_x.py::test_b", False),
    ]


async def test_what_pytest_has_and_this_has_not_is_said(confined: ConfinedRunner) -> None:
    source = "import pytest\n\n@pytest.fixture\ndef price():\n    return 1\n"
    _, results = await confined.run_tests(Program(files={"tests/test_x.py": source}))
    assert "pytest.fixture is not available here" in str(results[0].error)


async def test_tests_before_one_that_hangs_are_told(confined: ConfinedRunner) -> None:
    source = "def test_quick():\n    pass\n\ndef test_hangs():\n    while True:\n        pass\n"
    outcome, results = await confined.run_tests(Program(files={"tests/test_x.py": source}), limits=Limits(seconds=0.5))
    assert outcome.status == "timed_out"
    assert [test.name for test in results] == ["tests/test_x.py::test_quick"]
