"""How this command was called, so that the commands it prints work as they stand."""

import os
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

NAME = "nexus"


def program_of(called: Sequence[str], environ: Mapping[str, str]) -> str:
    """What to type to call this command again; `called` is the whole command line of the process, the interpreter first."""
    if "UV_RUN_RECURSION_DEPTH" in environ:  # PATH holds the environment's programs for the time of `uv run` alone
        return f"uv run {NAME}"
    if "-m" in called[:-1] and called[called.index("-m") + 1] == NAME:
        return f"{shlex.quote(_shortest(called[0], environ))} -m {NAME}"
    script = next((word for word in called[1:] if Path(word).stem == NAME), NAME)
    return shlex.quote(_shortest(script, environ))


def _shortest(program: str, environ: Mapping[str, str]) -> str:
    """The bare name where PATH leads to this very program, else the way to it as it was typed."""
    typed, here = Path(program), Path.cwd()
    found = shutil.which(typed.name, path=environ.get("PATH", os.defpath))
    if found is not None and Path(found).absolute() == typed.absolute():
        return typed.name
    below = typed.is_absolute() and typed.is_relative_to(here)
    return str(typed.relative_to(here)) if below else program
