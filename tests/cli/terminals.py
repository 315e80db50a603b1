"""A command on a terminal of its own, typed at and read."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

UNHEARD_SECONDS = 8.0
SECONDS = 45.0
SEQUENCES = re.compile(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])")


class Terminal:
    """`said` is all that was written so far, without the sequences that move and colour."""

    def __init__(self, process: int, descriptor: int) -> None:
        self.process, self._descriptor, self.raw, self._read = process, descriptor, "", 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    @property
    def said(self) -> str:
        return SEQUENCES.sub("", self.raw).replace("\r\n", "\n")

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def press_ctrl_c(self, after: str) -> None:
        """Once this was typed and is shown. A signal that comes just before line editing waits for a key is heard with the next one:
        it is sent again where nothing follows."""
        self.type(after)
        self.until(after)
        self.type("\x03")
        if not select.select([self._descriptor], [], [], UNHEARD_SECONDS)[0]:
            self.type("\x03")

    def paste(self, text: str) -> None:
        """As a terminal hands it on that was told to mark what is pasted."""
        self.type(f"\x1b[200~{text}\x1b[201~")

    def resize(self, columns: int, rows: int = 24) -> None:
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def until(self, text: str) -> None:
        """Reads until this text comes, behind what was waited for before."""
        deadline = time.monotonic() + SECONDS
        while (found := self.said.find(text, self._read)) < 0:
            assert self._more(deadline), f"{text!r} did not come: {self.said!r}"
        self._read = found + len(text)

    def end(self) -> int:
        """The exit code, once the command is over."""
        deadline = time.monotonic() + SECONDS
        while self._more(deadline):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.process, 0)[1])

    def _more(self, deadline: float) -> bool:
        if not select.select([self._descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return False
        with suppress(OSError):  # the other side is closed
            if piece := os.read(self._descriptor, 65536):
                self.raw += self._decoder.decode(piece)
                return True
        return False


@contextmanager
def nexus_on_terminal(*argv: str, environ: Mapping[str, str], columns: int = 80) -> Iterator[Terminal]:
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("NEXUS_", "COLUMNS", "LINES"))}
    process, descriptor = pty.fork()
    if process == 0:
        command = [sys.executable, "-m", "nexus", *argv]
        os.execve(sys.executable, command, {**inherited, "TERM": "xterm-256color", "LANG": "C.UTF-8", **environ})
    terminal = Terminal(process, descriptor)
    terminal.resize(columns)
    try:
        yield terminal
    finally:
        with suppress(ProcessLookupError, ChildProcessError):
            os.kill(process, 9)
            os.waitpid(process, 0)
        os.close(descriptor)
