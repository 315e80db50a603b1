"""Logs of a process of its own: they are set up for all of it."""

import json
import re
import subprocess
import sys
import unicodedata
from functools import cache

import pytest

SCRIPT = """
import logging, structlog
from nexus.adapters.structlog import logs
from nexus.domain.ports.tracing import open_span

logs.configure_logging("info", "{form}")
logger = structlog.get_logger()
logger.debug("too.quiet")
logger.info("told", api_key="s3cret", Authorization="s3cret", tokens=7, odd=1j)
with open_span("work", traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01"):
    logging.getLogger("other").warning("foreign %s", "words")
steering = "\\x1b]0;X\\x07 \\x9b2J \\u202e \\x7f \\ud800 \\u2028 \\nlevel=error\\r"
logger.info("steered", path=steering, several=[steering, {{steering: (steering,)}}], odd=ValueError(steering))
logging.getLogger("other").warning("steered %s", steering)
try:
    password = "s3cret"
    raise ValueError("broken")
except ValueError:
    logger.exception("failed")
try:
    raise ValueError(steering)
except ValueError:
    logger.exception("steered")
    logging.getLogger("other").exception("steered")
"""


@cache
def logged(form: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(form=form)], capture_output=True, text=True, timeout=60, check=True
    )
    assert not done.stdout
    return done.stderr


def test_a_line_is_one_json_object_with_its_time_and_level() -> None:
    told, foreign, *_, failed, _, _ = map(json.loads, logged("json").splitlines())
    assert told == {
        "event": "told", "level": "info", "timestamp": told["timestamp"],
        "api_key": "***", "Authorization": "***", "tokens": 7, "odd": "1j",
    }  # fmt: skip
    assert foreign["event"] == "foreign words" and foreign["level"] == "warning"
    assert (foreign["trace_id"], "trace_id" in failed) == ("a" * 32, False)
    assert failed["event"] == "failed" and "ValueError: broken" in failed["exception"]


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_traceback_tells_no_values_of_variables(form: str) -> None:
    text = logged(form)
    assert "ValueError: broken" in text
    assert "s3cret" not in text.replace('password = "s3cret"', "")


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_nothing_that_is_logged_steers_a_terminal_or_begins_a_line(form: str) -> None:
    text = re.sub("\x1b\\[[0-9;]*m", "", logged(form))  # the colours of the log itself
    assert not [one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") and one != "\n"]
    assert text.count("steered") >= 4
    assert "\\x1b]0;X" in text and "\\u202e" in text
    assert not re.search(r"^level=error", text.partition("Traceback")[0], re.MULTILINE)
