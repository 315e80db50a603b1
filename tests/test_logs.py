"""Logs of a process of its own: they are set up for all of it."""

import json
import subprocess
import sys
from functools import cache

import pytest

SCRIPT = """
import logging, structlog
from nexus.adapters.structlog import logs

logs.configure("info", "{form}")
logger = structlog.get_logger()
logger.debug("too.quiet")
logger.info("told", api_key="s3cret", Authorization="s3cret", tokens=7, odd=1j)
logging.getLogger("other").warning("foreign %s", "words")
try:
    password = "s3cret"
    raise ValueError("broken")
except ValueError:
    logger.exception("failed")
"""


@cache
def logged(form: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(form=form)], capture_output=True, text=True, timeout=60, check=True
    )
    assert not done.stdout
    return done.stderr


def test_a_line_is_one_json_object_with_its_time_and_level() -> None:
    told, foreign, failed = map(json.loads, logged("json").splitlines())
    assert told == {
        "event": "told", "level": "info", "timestamp": told["timestamp"],
        "api_key": "***", "Authorization": "***", "tokens": 7, "odd": "1j",
    }  # fmt: skip
    assert foreign["event"] == "foreign words" and foreign["level"] == "warning"
    assert failed["event"] == "failed" and "ValueError: broken" in failed["exception"]


@pytest.mark.parametrize("form", ["json", "pretty"])
def test_a_traceback_tells_no_values_of_variables(form: str) -> None:
    text = logged(form)
    assert "ValueError: broken" in text
    assert "s3cret" not in text.replace('password = "s3cret"', "")
