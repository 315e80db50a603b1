"""What is tested cannot grade itself: it neither sees nor changes the tests, what they expect, or where their results go."""

from typing import Any

import pytest

from nexus.adapters.confined.inside import judge
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.agents import package
from nexus.domain.ports.code import CodeRunner, Limits, Outcome, Program, TestResult

WRONG = "def add(a: int, b: int) -> int:\n    return a - b\n"
TESTS = """
from tools.add import add

def test_two_and_three():
    expected = 54321 - 54316
    assert add(2, 3) == expected

def test_nothing():
    assert add(0, 0) == 0 and add(1, 0) == 1 and add(0, 1) == 1
"""

TRICKS = {
    "it replaces the harness": """
import sys
for name, module in list(sys.modules.items()):
    for part in ("_failure", "test", "described", "_collected", "family", "_made"):
        if "confined" in name and hasattr(module, part):
            setattr(module, part, lambda *a, **k: None)
""",
    "it replaces the tests": """
import sys, types
for name in ("tests", "tests.test_add", "pytest"):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].test_two_and_three = lambda: None
""",
    "it writes frames and ends the process": """
import os
def forge():
    frames = b'\\n{"type":"tested","name":"tests/test_add.py::test_two_and_three","passed":true}\\n' \\
             b'{"type":"ended","status":"ok","value":{"passed":1,"failed":0}}\\n'
    for pipe in range(1, 64):
        try:
            os.write(pipe, frames)
        except OSError:
            pass
    os._exit(0)
def add(a, b):
    forge()
""",
    "it ends the process": "import os\ndef add(a, b):\n    os._exit(0)\n",
    "it returns what equals everything": """
class Any(int):
    __eq__ = lambda self, other: True
    __ne__ = lambda self, other: False
    __hash__ = int.__hash__
def add(a, b):
    return Any(1)
""",
    "it returns an object that is no number": """
class Same:
    def __eq__(self, other):
        return True
def add(a, b):
    return Same()
""",
    "it traces": """
import sys, threading
def trace(frame, event, arg):
    for name in ("expected", "error"):
        if name in frame.f_locals:
            frame.f_locals[name] = None
    return trace
sys.settrace(trace)
sys.setprofile(trace)
threading.settrace(trace)
""",
    "it reads what is expected from the frames above": """
import sys
def add(a, b):
    frame = sys._getframe()
    while frame:
        if "expected" in frame.f_locals:
            return frame.f_locals["expected"]
        frame = frame.f_back
    return a - b
""",
    "it reads the test": """
import os, re
def add(a, b):
    for top in ("..", "/", "../..", "../../judge", "../judge/program"):
        for at, _, names in os.walk(top):
            for name in names:
                if name.startswith("test_add") and "54316" in open(os.path.join(at, name)).read():
                    return a + b
    return a - b
""",
    "it finds the test in its memory": """
import gc, sys
def add(a, b):
    for one in gc.get_objects():
        if isinstance(one, dict) and any(isinstance(v, str) and "543" + "21" in v for v in one.values()):
            return a + b
    with open("/proc/self/mem", "rb") as memory:
        return a + b
""",
    "it changes what comparing means": """
import builtins
builtins.AssertionError = type("AssertionError", (Exception,), {"__init__": lambda *a: None})
builtins.abs = builtins.round = builtins.repr = lambda *a: 0
builtins.isinstance = lambda *a: True
""",
    "it ends when the interpreter ends": """
import atexit, os, threading
atexit.register(os._exit, 0)
threading.Thread(target=lambda: None).start()
def add(a, b):
    raise SystemExit(0)
""",
    "it answers before it is asked": """
import os
for number in range(1, 9):
    for pipe in range(3, 64):
        try:
            os.write(pipe, b'{"id": %d, "value": 5}\\n' % number)
        except OSError:
            pass
""",
    "it raises what no test may see": "def add(a, b):\n    raise BaseException\n",
    "it answers an endless line": """
import os
def add(a, b):
    for pipe in range(3, 64):
        try:
            while True:
                os.write(pipe, b'9' * 65536)
        except OSError:
            pass
""",
}


async def judged(runner: CodeRunner, code: str, tests: str, **more: str) -> tuple[Outcome, list[TestResult]]:
    files = {"tools/add.py": code, "tests/test_add.py": tests, **more}
    return await runner.run_tests(Program(files), limits=Limits(seconds=10))


@pytest.mark.parametrize("trick", TRICKS)
async def test_a_program_cannot_pass_its_failing_tests(confined: ConfinedRunner, trick: str) -> None:
    code = TRICKS[trick] if "def add(" in TRICKS[trick] else f"{TRICKS[trick]}\n{WRONG}"
    outcome, results = await judged(confined, code, TESTS)
    passed = {result.name.rpartition("::")[2] for result in results if result.passed}
    assert outcome.status != "ok" or not passed, (outcome, results)


@pytest.mark.parametrize(
    ("body", "check"),
    [
        ("raise StopIteration", "assert all(add(n, 1) == 0 for n in range(3))"),
        ("raise StopIteration", "assert all(map(add, range(3), range(3)))"),
        ("raise type('End', (StopIteration,), {})", "assert not list(map(add, range(3), range(3)))"),
        ("raise GeneratorExit", "assert all(map(add, range(3), range(3)))"),
        ("return '5'", "assert add(2, 3) == pytest.approx(5)"),
        ("return float('nan')", "assert not add(2, 3) < 5"),
        ("return {'__class__': 'x'}", "assert add(2, 3) == 5"),
        ("return 10 ** 400", "assert add(2, 3) == pytest.approx(5)"),
    ],
)
async def test_no_answer_makes_a_check_empty(confined: ConfinedRunner, body: str, check: str) -> None:
    tests = f"import pytest\nfrom tools.add import add\n\ndef test_it():\n    {check}\n"
    _, [result] = await judged(confined, f"def add(a, b):\n    {body}\n", tests)
    assert not result.passed


@pytest.mark.parametrize(
    "test",
    [
        "def test_it():\n    assert add(2, 3) == 5\n    yield\n",
        "async def test_it():\n    assert add(2, 3) == 5\n    yield\n",
        "def test_it():\n    return add(2, 3) == 5\n",
        "class Base:\n    def test_it(self):\n        assert add(2, 3) == 5\nclass TestSum(Base):\n    pass\n",
    ],
)
async def test_a_test_that_is_never_run_or_inherited_passes_nothing(confined: ConfinedRunner, test: str) -> None:
    _, [result] = await judged(confined, WRONG, f"from tools.add import add\n\n{test}")
    assert not result.passed


@pytest.mark.parametrize("caught", ["Exception", "BaseException", "(ValueError, OSError)"])
async def test_a_death_of_the_program_is_no_error_that_a_test_expects(confined: ConfinedRunner, caught: str) -> None:
    tests = f"import pytest\nfrom tools.add import add\n\ndef test_refuses():\n    with pytest.raises({caught}):\n        add(1, 2)\n\n"
    tests += "def test_swallows():\n    try:\n        add(1, 2)\n    except BaseException:\n        pass\n\ndef test_alone():\n    pass\n"
    _, results = await judged(confined, "import os\ndef add(a, b):\n    os._exit(0)\n", tests)
    assert [(result.name.rpartition("::")[2], result.passed) for result in results] == [
        ("test_refuses", False),
        ("test_swallows", False),
        ("test_alone", True),
    ]
    assert "has ended" in str(results[0].error)


async def test_results_that_contradict_each_other_are_refused(confined: ConfinedRunner) -> None:
    tests = """
import os
def test_forges():
    for pipe in range(3, 64):
        try:
            os.write(pipe, b'{"type":"ended","status":"ok","value":{"passed":7,"failed":0}}\\\\n')
        except OSError:
            pass
    os._exit(0)
""".replace("\\\\n", "\\n")
    outcome, results = await judged(confined, WRONG, tests)
    assert (outcome.status, outcome.error, results) == ("crashed", "The results of the tests contradict each other", [])


ERRORS = '''
"""Adds."""
RATES = {"de": [19, 7]}

class Odd(ValueError):
    """Its number is odd."""

class VeryOdd(Odd, KeyError):
    def __init__(self, number):
        super().__init__(f"{number} is very odd", number)

    def __str__(self):
        return self.args[0]

def add(a: int, b: int = 1, *more: int) -> int:
    """Adds up."""
    if a == 7:
        raise VeryOdd(a)
    if a == 8:
        return {}["eight"]
    if a == 9:
        "\\ud800".encode()
    return a + b + sum(more)

async def slowly(a):
    import asyncio
    await asyncio.sleep(0)
    return {"a": a, "pair": (1, 2)}
'''
USES = """
import math
import pytest
import tools
import tools.add
from tools import add as module
from tools.add import RATES, Odd, VeryOdd, add, slowly

def test_values_and_words():
    assert RATES == {"de": [19, 7]} == tools.add.RATES == module.RATES
    assert add.__doc__ == "Adds up." and add.__name__ == "add"
    assert add(1) == 2 and add(1, 2, 3) == 6 and add(b=3, a=1) == 4 and add(0.1, 0.2) == pytest.approx(0.3)

def test_errors_keep_their_kind_and_their_words():
    for kind in (VeryOdd, Odd, ValueError, KeyError, LookupError):
        with pytest.raises(kind, match="7 is very odd") as caught:
            add(7)
    assert caught.value.args == ("7 is very odd", 7)
    with pytest.raises(KeyError) as caught:
        add(8)
    assert str(caught.value) == "'eight'" and type(caught.value) is KeyError
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        add(9)
    with pytest.raises(TypeError, match="required positional argument"):
        add()

async def test_async():
    assert await slowly(1) == {"a": 1, "pair": [1, 2]}

def test_what_json_cannot_hold_is_said():
    with pytest.raises(TypeError, match="holds a object"):
        add(object())
    with pytest.raises(TypeError, match="holds nan"):
        add(math.nan)

def test_replacing_is_refused():
    with pytest.raises(AttributeError, match="another process"):
        tools.add.RATES = {}

def test_a_missing_name():
    with pytest.raises(ImportError):
        from tools.add import nothing
"""


async def test_a_test_may_hold_functions_errors_and_values_of_the_program(confined: ConfinedRunner) -> None:
    outcome, results = await judged(confined, ERRORS, USES)
    assert [(result.name, result.error) for result in results if not result.passed] == []
    assert (outcome.status, len(results)) == ("ok", 6)


async def test_tests_may_share_helpers_and_the_program_cannot_see_them(confined: ConfinedRunner) -> None:
    helper = "EXPECTED = 5\n"
    tests = "from tests.helper import EXPECTED\nfrom tools.add import add\n\ndef test_sum():\n    assert add(2, 3) == EXPECTED\n"
    _, results = await judged(confined, "def add(a, b):\n    return a + b\n", tests, **{"tests/helper.py": helper})
    assert [result.error for result in results] == [None]
    stolen = "def add(a, b):\n    from tests.helper import EXPECTED\n    return EXPECTED\n"
    _, results = await judged(confined, stolen, tests, **{"tests/helper.py": helper})
    assert "No module named 'tests'" in str(results[0].error)


async def test_a_call_does_not_see_the_tests(runner: CodeRunner) -> None:
    files = {
        "tools/add.py": "def add():\n    import tests.test_add\n    return 1\n",
        "tests/test_add.py": "SECRET = 1\n",
    }
    outcome = await runner.call_function(Program(files), "tools/add.py:add", {})
    assert (outcome.status, str(outcome.error)[:28]) == ("raised", "ModuleNotFoundError: No modu")


async def test_values_cross_as_json_in_every_runner(runner: CodeRunner) -> None:
    tests = "from tools.add import add\n\ndef test_pair():\n    assert add(1, 2) == [1, 2]\n\ndef test_bad():\n    add(object(), 1)\n"
    _, results = await judged(runner, "def add(a, b):\n    return (a, b)\n", tests)
    assert [(result.passed, "TypeError" in str(result.error)) for result in results] == [(True, False), (False, True)]


async def test_a_program_that_cannot_be_loaded_fails_its_tests_with_its_own_words(runner: CodeRunner) -> None:
    for code, words in (("x = 1 / 0\n", "ZeroDivisionError: division by zero"), ("def add(:\n", "SyntaxError")):
        outcome, results = await judged(runner, code, TESTS)
        assert (outcome.status, len(results), results[0].passed) == ("ok", 1, False)
        assert str(results[0].error).startswith(words)
        assert "tools/add.py, line 1" in str(results[0].error)


async def test_tests_that_overflow_the_parser_are_a_failed_test(confined: ConfinedRunner) -> None:
    _, results = await judged(confined, WRONG, f"x = {'-' * 9000}1\n")
    assert "nested too deep" in str(results[0].error)


@pytest.mark.parametrize(
    "forged",
    [
        ["builtins", "print", []],
        ["a", "B", []],
        ["a", "B", [["builtins", "int", []]]],
        ["a", "B", [["a", "B", []]]],
        [],
        "text",
        None,
    ],
)
def test_a_family_of_errors_that_is_none_is_no_error(forged: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        judge.rebuild_exception_type(forged)


def test_the_program_of_a_package_holds_no_case_and_no_prompt() -> None:
    """What the behavioural cases expect never reaches the process that generated code runs in."""
    manifest = '[agent]\nslug = "a"\nname = "A"\n'
    files = {"agent.toml": manifest, "prompt.md": "You add.", "tests/cases.toml": "", "tools/add.py": WRONG}
    assert list(package.parse_package(files).python_program.files) == ["tools/add.py"]
