"""What `nexus doctor` looks at: every part that a laptop needs, and what to do where one lacks."""

import platform
import shlex
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from nexus.adapters.sqlite.lock import DirectoryLock
from nexus.composition.adapters import open_code_runner
from nexus.domain.core.errors import Conflict
from nexus.providers.checks import MEANINGS, Check, probe_configured_model
from nexus.providers.file import FILE
from nexus.settings import Settings
from nexus.start import DIRECTORY_ADVICE, GIT_ADVICE, find_data_dir_fault, find_setting_faults, find_setting_warnings

LEAST_FREE = 500 * 1024 * 1024
MODEL_SECONDS = 20.0
"""The most one call to the model may take here."""


USUAL_TIER = 3
SHARED_ADVICE = "Generated code runs as the server's own user, kept from its files by Landlock alone: allow user namespaces for more."


class Finding(Struct, frozen=True):
    """One part: how it is, in a line, and what to do about it."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    advice: str = ""


async def diagnose_installation(settings: Settings) -> list[Finding]:
    """Changes nothing but makes the data directory where there is none."""
    return [
        _diagnose_settings(settings),
        Finding("python", "ok", platform.python_version()),
        _diagnose_git(),
        *_diagnose_data_directory(settings.data_directory),
        *_diagnose_file_modes(settings.data_directory),
        Finding("sqlite", "ok", sqlite3.sqlite_version),
        await _diagnose_code_runner(settings),
        *await _diagnose_model(settings),
    ]


def _diagnose_settings(settings: Settings) -> Finding:
    if wrong := find_setting_faults(settings):
        return Finding("settings", "fail", " ".join(wrong))
    weak = find_setting_warnings(settings)
    return Finding("settings", "warn" if weak else "ok", " ".join(weak) or "can be served")


def _diagnose_git() -> Finding:
    path = shutil.which("git")
    if path is None:
        return Finding("git", "fail", "not found on PATH", GIT_ADVICE)
    try:
        version = subprocess.run([path, "--version"], capture_output=True, timeout=10, check=True).stdout  # noqa: S603
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("git", "fail", f"{path} does not run: {error}", GIT_ADVICE)
    return Finding("git", "ok", f"{path}, {version.decode(errors='replace').strip()}")


def _diagnose_data_directory(data: Path) -> list[Finding]:
    if fault := find_data_dir_fault(data):
        return [Finding("data directory", "fail", fault, DIRECTORY_ADVICE)]
    try:
        with DirectoryLock(data):
            detail = str(data)
    except Conflict as held:
        detail = f"{data} is in use: {held.detail}"
    except OSError as error:
        return [Finding("data directory", "fail", f"{data}: {error.strerror}", DIRECTORY_ADVICE)]
    free = shutil.disk_usage(data).free
    disk = Finding("disk", "ok", f"{free // 2**20} MB free")
    if free <= LEAST_FREE:
        disk = replace(disk, state="warn", advice="Free some space: builds pause when the disk is full.")
    return [Finding("data directory", "ok", detail), disk]


def _diagnose_file_modes(data: Path) -> Iterator[Finding]:
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
            yield Finding(path.name, "warn", detail, advice)


async def _diagnose_code_runner(settings: Settings) -> Finding:
    """The boundary in force for generated code, tried for real."""
    async with AsyncExitStack() as stack:
        tier = (await open_code_runner(settings, stack)).get_isolation_tier()
    if tier.level:
        detail, weak = f"tier {tier.level} ({tier.name}): {tier.detail}", tier.level < USUAL_TIER
        return Finding("code runner", "warn", detail, SHARED_ADVICE) if weak else Finding("code runner", "ok", detail)
    if settings.code.min_tier:
        advice = "Allow user namespaces on this machine, or lower NEXUS_CODE__MIN_TIER."
        return Finding("code runner", "fail", tier.detail, advice)
    advice = "Agents work with library tools only; tools in code need user namespaces, Landlock or seccomp (Linux)."
    return Finding("code runner", "warn", tier.detail, advice)


async def _diagnose_model(settings: Settings) -> list[Finding]:
    """What the model can really do, with one short call each."""
    model = settings.model
    if model.provider == "offline":
        advice = "`nexus models` shows the real ones at hand, and how to choose one."
        return [Finding("model", "ok", "offline: the built-in stand-in, no AI", advice)]
    checks = await probe_configured_model(settings, seconds=MODEL_SECONDS)
    return [_make_model_finding(check, f"{model.name} at {model.base_url}") for check in checks]


def _make_model_finding(check: Check, model: str) -> Finding:
    name, place = ("model", f"{model}: ") if check.name == "text" else (f"model, {check.name}", "")
    detail = f"{place}{check.detail} ({check.seconds:.1f} s)"
    if check.works:
        return Finding(name, "ok", detail)
    return Finding(name, "warn" if check.name == "tool" else "fail", detail, MEANINGS[check.name])
