"""What `nexus doctor` looks at: every part that a laptop needs, and what to do where one lacks."""

import platform
import shlex
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

from msgspec import Struct

from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.composition.adapters import open_code
from nexus.domain.core.errors import Conflict
from nexus.providers.checks import MEANINGS, Check, check_configured
from nexus.providers.file import FILE
from nexus.settings import Settings
from nexus.start import DIRECTORY_ADVICE, GIT_ADVICE, directory_fault, setting_faults, setting_warnings

LEAST_FREE = 500 * 1024 * 1024
LEAST_PYTHON = (3, 11)
MODEL_SECONDS = 20.0
"""The most one call to the model may take here."""


USUAL_TIER = 3
SHARED_ADVICE = "Generated code runs as the server's own user, kept from its files by Landlock alone: allow user namespaces for more."


class Finding(Struct, frozen=True, kw_only=True):
    """One part: how it is, in a line, and what to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Changes nothing but makes the data directory where there is none."""
    data = settings.directory
    return [
        _settings(settings),
        _python(),
        _git(),
        *_directory(data),
        *_modes(data),
        _sqlite(),
        await _code(settings),
        *await _model(settings),
    ]


def _settings(settings: Settings) -> Finding:
    if wrong := setting_faults(settings):
        return Finding(name="settings", state="fail", detail=" ".join(wrong))
    weak = setting_warnings(settings)
    return Finding(name="settings", state="warn" if weak else "ok", detail=" ".join(weak) or "can be served")


def _python() -> Finding:
    fine = sys.version_info >= LEAST_PYTHON
    advice = "" if fine else "Install Python 3.11 or newer."
    return Finding(name="python", state="ok" if fine else "fail", detail=platform.python_version(), advice=advice)


def _git() -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding(name="git", state="fail", detail="not found on PATH", advice=GIT_ADVICE)
    try:
        told = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return Finding(name="git", state="fail", detail=f"{path} does not run: {error}", advice=GIT_ADVICE)
    return Finding(name="git", state="ok", detail=f"{path}, {told.decode(errors='replace').strip()}")


def _directory(data: Path) -> list[Finding]:
    if fault := directory_fault(data):
        return [Finding(name="data directory", state="fail", detail=fault, advice=DIRECTORY_ADVICE)]
    try:
        with DirectoryLock(data):
            detail = str(data)
    except Conflict as held:
        detail = f"{data} is in use: {held.detail}"
    except OSError as error:
        detail = f"{data}: {error.strerror}"
        return [Finding(name="data directory", state="fail", detail=detail, advice=DIRECTORY_ADVICE)]
    free = shutil.disk_usage(data).free
    state: Literal["ok", "warn"] = "ok" if free > LEAST_FREE else "warn"
    advice = "" if state == "ok" else "Free some space: builds pause when the disk is full."
    disk = Finding(name="disk", state=state, detail=f"{free // 2**20} MB free", advice=advice)
    return [Finding(name="data directory", state="ok", detail=detail), disk]


def _modes(data: Path) -> Iterator[Finding]:
    """What holds a secret, and can be read by others."""
    for path in (data / "secret", data / FILE):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:  # not there, or told by the directory's own finding
            continue
        if mode & 0o077:
            detail = f"{path} can be read or written by others (mode {mode:o})"
            closing = f"{shlex.join(('chmod', '600', str(path)))}; a key that is in it may have been read: change it."
            advice = closing if path.name == FILE else "The next start of a server makes a new one."
            yield Finding(name=path.name, state="warn", detail=detail, advice=advice)


def _sqlite() -> Finding:
    return Finding(name="sqlite", state="ok", detail=sqlite3.sqlite_version)


async def _code(settings: Settings) -> Finding:
    """The boundary in force for generated code, tried for real."""
    async with AsyncExitStack() as stack:
        tier = (await open_code(settings, stack)).tier()
    if tier.level:
        state: Literal["ok", "warn"] = "warn" if tier.level < USUAL_TIER else "ok"
        advice = SHARED_ADVICE if tier.level < USUAL_TIER else ""
        detail = f"tier {tier.level} ({tier.name}): {tier.detail}"
        return Finding(name="code runner", state=state, detail=detail, advice=advice)
    if settings.code.min_tier:
        advice = "Allow user namespaces on this machine, or lower NEXUS_CODE__MIN_TIER."
        return Finding(name="code runner", state="fail", detail=tier.detail, advice=advice)
    advice = "Agents work with library tools only; tools in code need user namespaces, Landlock or seccomp (Linux)."
    return Finding(name="code runner", state="warn", detail=tier.detail, advice=advice)


async def _model(settings: Settings) -> list[Finding]:
    """What the model can really do, with one short call each."""
    model = settings.model
    if model.provider == "offline":
        advice = "`nexus models` shows the real ones at hand, and how to choose one."
        return [Finding(name="model", state="ok", detail="offline: the built-in stand-in, no AI", advice=advice)]
    checks = await check_configured(settings, seconds=MODEL_SECONDS)
    return [_make_finding(check, f"{model.name} at {model.base_url}: ") for check in checks]


def _make_finding(check: Check, model: str) -> Finding:
    words = check.name == "text"
    detail = f"{model if words else ''}{check.detail} ({check.seconds:.1f} s)"
    state: Literal["ok", "warn", "fail"] = "ok" if check.works else "warn" if check.name == "tool" else "fail"
    advice = "" if check.works else MEANINGS[check.name]
    return Finding(name="model" if words else f"model, {check.name}", state=state, detail=detail, advice=advice)
