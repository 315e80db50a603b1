"""What was asked on the command line, by whom, and how the command was called: so that the commands it prints work as they stand."""

import os
import re
import shlex
import shutil
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from nexus.cli.output import Output

NAME = "nexus"
DEFAULT_URL = "http://127.0.0.1:8000"
COMMANDS = re.compile(
    r"(?<![\w/.-])nexus (?=(?:serve|init-resources|migrate|promote|build|chat|models|projects|agents?|sessions|tasks|tools|doctor)\b)"
)
"""Where a command of nexus begins in a text."""
OF_THE_CLIENT = frozenset({"NEXUS_URL", "NEXUS_TOKEN", "NEXUS_DEBUG"})
"""What the command itself reads of the environment; the rest of `NEXUS_…` are settings of a server."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """`owns_server`: the server that is worked with was started for this command, and ends with it."""

    arguments: Namespace
    environ: Mapping[str, str]
    output: Output
    program: str = NAME
    owns_server: bool = False

    @property
    def server_url(self) -> str:
        return getattr(self.arguments, "url", None) or self.environ.get("NEXUS_URL") or DEFAULT_URL

    def format_command(self, *words: str) -> str:
        """A command of nexus as it can be pasted into a shell: this program, these words, the server that was named, and one started
        for it where this command asked for that."""
        if words[0] == "serve":
            return f"{self.program} {shlex.join((*words, *self._make_port_options()))}"
        url, serving = getattr(self.arguments, "url", None), self.may_start_server
        options = ("--url", url) if url and (url != DEFAULT_URL or "NEXUS_URL" in self.environ) else ()
        return f"{self.program} {shlex.join((*words, *options, *(['--serve'] if serving else [])))}"

    def _make_port_options(self) -> tuple[str, ...]:
        """What makes a server of this machine answer at the address; nothing where that is the default, or another machine's."""
        parts = urlsplit(self.server_url)
        is_here = parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost", "::1")
        return ("--port", str(parts.port or 80)) if is_here and self.server_url.rstrip("/") != DEFAULT_URL else ()

    def replace_program_name(self, text: str) -> str:
        """A text of a server or another part of nexus, whose commands begin with this program where they begin with `nexus`."""
        return COMMANDS.sub(lambda _: f"{self.program} ", text)

    @property
    def server_token(self) -> str | None:
        return getattr(self.arguments, "token", None) or self.environ.get("NEXUS_TOKEN")

    @property
    def is_debug(self) -> bool:
        return self.environ.get("NEXUS_DEBUG", "") not in ("", "0")

    @property
    def may_start_server(self) -> bool:
        """Whether a server was asked for, should none answer."""
        return bool(getattr(self.arguments, "serve", False))

    @property
    def settings_environ(self) -> Mapping[str, str]:
        return {name: value for name, value in self.environ.items() if name not in OF_THE_CLIENT}


def get_program_command(called: Sequence[str], environ: Mapping[str, str]) -> str:
    """What to type to call this command again; `called` is the whole command line of the process, the interpreter first."""
    if "UV_RUN_RECURSION_DEPTH" in environ:  # PATH holds the environment's programs for the time of `uv run` alone
        return f"uv run {NAME}"
    if "-m" in called[:-1] and called[called.index("-m") + 1] == NAME:
        return f"{shlex.quote(_shorten_program_path(called[0], environ))} -m {NAME}"
    script = next((word for word in called[1:] if Path(word).stem == NAME), NAME)
    return shlex.quote(_shorten_program_path(script, environ))


def _shorten_program_path(program: str, environ: Mapping[str, str]) -> str:
    """The bare name where PATH leads to this very program, else the way to it as it was typed."""
    typed, here = Path(program), Path.cwd()
    found = shutil.which(typed.name, path=environ.get("PATH", os.defpath))
    if found is not None and Path(found).absolute() == typed.absolute():
        return typed.name
    below = typed.is_absolute() and typed.is_relative_to(here)
    return str(typed.relative_to(here)) if below else program
