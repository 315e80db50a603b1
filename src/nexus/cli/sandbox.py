"""Where a crash test plays: the user's own disk and limits, and stand-ins for all that must not be touched."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from nexus.composition.adapters import make_crash_test_pools
from nexus.settings import PREFIX, Secret, Settings, list_env_variables

HOLDS = ("builds", "limits")
"""Groups of settings that are tested as they are; all others are stand-ins."""
STAND_INS = {"NEXUS_MODEL__PROVIDER": "offline", "NEXUS_TABLES__BACKEND": "sqlite", "NEXUS_LOG__LEVEL": "error"}
OF_THE_SYSTEM = ("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "VIRTUAL_ENV")
SYSTEM_PREFIXES = ("LC_", "LD_", "PYTHON")
"""What a process needs to find its programs, libraries and language. Keys and tokens of other programs are not among it."""


class Sandbox(NamedTuple):
    """The data directory of the crash test's servers, and their environment."""

    data: Path
    environ: Mapping[str, str]


@contextmanager
def open_crash_test_sandbox(settings: Settings, environ: Mapping[str, str]) -> Iterator[Sandbox]:
    """A hidden directory in the data directory, and one below TMPDIR for generated code. Both are gone afterwards, and so is what an
    earlier one left that was killed; so is a data directory that was made for it, if nobody put anything there."""
    data = settings.data_directory
    missing = [path for path in (data, *data.parents) if not path.exists()]
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        stack.callback(_delete_empty_directories, missing)
        kinds = make_crash_test_pools(data)
        for kind in kinds:
            kind.delete_stale_workspaces()
        kept, temporary = (stack.enter_context(kind.make_workspace()).path for kind in kinds)
        yield Sandbox(kept / "data", {**select_sandbox_environ(environ), **STAND_INS, "TMPDIR": str(temporary)})


def _delete_empty_directories(directories: Sequence[Path]) -> None:
    with suppress(OSError):  # in use by now
        for path in directories:
            path.rmdir()


def select_sandbox_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """What the crash test's servers get of an environment."""
    plain = {one.name for one in list_env_variables() if one.group in HOLDS and one.type is not Secret}
    return {
        name: text
        for name, text in environ.items()
        if name in plain or name in OF_THE_SYSTEM or name.startswith(SYSTEM_PREFIXES)
    }


def describe_sandbox(settings: Settings, environ: Mapping[str, str]) -> str:
    """What was tested as it is, and what with a stand-in."""
    own = [name for name in select_sandbox_environ(environ) if name.startswith(PREFIX) and environ[name].strip()]
    as_they_are = [f"the disk of {settings.data_directory}", "generated code on this machine"]
    as_they_are.append(f"your {', '.join(sorted(own))}" if own else "the limits that hold by default")
    stand_ins = ["the offline model" + ("" if settings.model.provider == "offline" else f" for {settings.model.name}")]
    if settings.tables.backend != "sqlite":
        stand_ins.append(f"SQLite for the tables in {settings.tables.backend}")
    if settings.auth.token:
        stand_ins.append("no token for yours")
    stand_ins.append("a port of its own on 127.0.0.1")
    return f"as it is: {'; '.join(as_they_are)}. With a stand-in: {'; '.join(stand_ins)}"
