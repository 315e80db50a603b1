"""What `nexus doctor` looks at: every part that a laptop needs, and what to do where one lacks."""

import os
import platform
import shutil
import sqlite3
import sys
from pathlib import Path
from typing import Literal

from msgspec import Struct

from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.domain.core.errors import Conflict
from nexus.house import directory_of
from nexus.settings import Settings, problems

LEAST_FREE = 500 * 1024 * 1024
LEAST_PYTHON = (3, 11)


class Finding(Struct, frozen=True, kw_only=True):
    """One part: how it is, in a line, and what to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Changes nothing but makes the data directory where there is none."""
    data = directory_of(settings)
    return [
        _settings(settings),
        _python(),
        _git(),
        *_directory(data),
        _sqlite(),
        await _code(data),
        _model(settings),
    ]


def _settings(settings: Settings) -> Finding:
    wrong = problems(settings)
    return Finding(name="settings", state="fail" if wrong else "ok", detail=" ".join(wrong) or "can be served")


def _python() -> Finding:
    fine = sys.version_info >= LEAST_PYTHON
    advice = "" if fine else "Install Python 3.11 or newer."
    return Finding(name="python", state="ok" if fine else "fail", detail=platform.python_version(), advice=advice)


def _git() -> Finding:
    if path := shutil.which("git"):
        return Finding(name="git", state="ok", detail=path)
    return Finding(
        name="git", state="fail", detail="not found", advice="Install git: projects are kept in repositories."
    )


def _directory(data: Path) -> list[Finding]:
    try:
        with DirectoryLock(data):
            free = shutil.disk_usage(data).free
    except Conflict as held:
        return [Finding(name="data directory", state="ok", detail=f"{data} is in use: {held.detail}")]
    except OSError as error:
        advice = "Choose another one with --data-dir."
        return [Finding(name="data directory", state="fail", detail=f"{data}: {error.strerror}", advice=advice)]
    found = [Finding(name="data directory", state="ok", detail=str(data))]
    if not os.access(data, os.W_OK):
        found = [Finding(name="data directory", state="fail", detail=f"{data} cannot be written")]
    state: Literal["ok", "warn"] = "ok" if free > LEAST_FREE else "warn"
    advice = "" if state == "ok" else "Free some space: builds pause when the disk is full."
    return [*found, Finding(name="disk", state=state, detail=f"{free // 2**20} MB free", advice=advice)]


def _sqlite() -> Finding:
    return Finding(name="sqlite", state="ok", detail=sqlite3.sqlite_version)


async def _code(data: Path) -> Finding:
    """The boundary in force for generated code, tried for real."""
    async with ConfinedRunner(data=data) as runner:
        tier = runner.tier()
    if tier.level:
        return Finding(name="code runner", state="ok", detail=f"level {tier.level} ({tier.name}): {tier.detail}")
    advice = "Agents work with library tools only; tools in code need user namespaces, Landlock or seccomp (Linux)."
    return Finding(name="code runner", state="warn", detail=tier.detail, advice=advice)


def _model(settings: Settings) -> Finding:
    if settings.model.provider == "offline":
        advice = "Set NEXUS_MODEL__API_KEY (and NEXUS_MODEL__BASE_URL, NEXUS_MODEL__NAME) for a real one."
        return Finding(name="model", state="ok", detail="offline: the built-in stand-in, no AI", advice=advice)
    return Finding(name="model", state="ok", detail=f"{settings.model.name} at {settings.model.base_url}")
