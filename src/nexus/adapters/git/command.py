"""Runs the git program: a fixed environment, a time limit, and failures in the words of the domain."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NamedTuple

from nexus.domain.core.errors import Unavailable

_FULL = ("No space left on device", "Disk quota exceeded", "Out of diskspace")
_CONFIGURATION = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.autocrlf": "false",
    "core.quotepath": "false",
    "core.logAllRefUpdates": "false",
    "core.filesRefLockTimeout": "1000",
    "core.fsync": "objects,reference",
    "core.sharedRepository": "0600",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "log.showSignature": "false",
}
"""Wins over what a repository's own configuration says."""
_ENVIRONMENT = {
    "PATH": os.defpath,
    "HOME": "/nonexistent",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_PAGER": "cat",
    "GIT_CONFIG_COUNT": str(len(_CONFIGURATION)),
    **{f"GIT_CONFIG_KEY_{number}": name for number, name in enumerate(_CONFIGURATION)},
    **{f"GIT_CONFIG_VALUE_{number}": value for number, value in enumerate(_CONFIGURATION.values())},
}


class Answer(NamedTuple):
    code: int
    out: bytes
    problem: str


class Git:
    """`program`: the path of git, None when this machine has none. `seconds`: the most one call may take; `patience`: how many more
    one has that was told to end."""

    def __init__(self, *, program: str | None = None, seconds: float = 30.0, patience: float = 2.0) -> None:
        self._program = shutil.which(program or "git")
        self._seconds, self._patience = seconds, patience

    async def run_command(self, tree: Path, *arguments: str, stdin: bytes = b"", index: Path | None = None) -> Answer:
        """Runs git in the repository of a working tree, with the given index in the place of its own."""
        where = {"GIT_DIR": str(tree / ".git"), "GIT_WORK_TREE": str(tree)}
        return await self._run_git_process(arguments, where | ({"GIT_INDEX_FILE": str(index)} if index else {}), stdin)

    async def run_command_or_raise(
        self, tree: Path, *arguments: str, stdin: bytes = b"", index: Path | None = None
    ) -> bytes:
        """As `ask`; Unavailable when git says no."""
        answer = await self.run_command(tree, *arguments, stdin=stdin, index=index)
        if answer.code:
            raise make_git_error(arguments[0], answer)
        return answer.out

    async def init_bare_repository(self, repository: Path) -> None:
        """Makes an empty repository without a working tree."""
        arguments = ("init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--object-format=sha1")
        answer = await self._run_git_process(arguments, {"GIT_DIR": str(repository)}, b"")
        if answer.code:
            raise make_git_error("init", answer)

    async def _run_git_process(self, arguments: Sequence[str], where: Mapping[str, str], stdin: bytes) -> Answer:
        process = await self._start_process(arguments, where, stdin)
        try:
            async with asyncio.timeout(self._seconds):
                out, problem = await process.communicate()
        except TimeoutError:
            raise Unavailable(f"git {arguments[0]} took longer than {self._seconds:g} s.", part="git") from None
        finally:
            await _terminate_process(process, self._patience)
        return Answer(process.returncode or 0, out, problem.decode(errors="replace").strip())

    async def _start_process(
        self, arguments: Sequence[str], where: Mapping[str, str], stdin: bytes
    ) -> asyncio.subprocess.Process:
        if self._program is None:
            raise Unavailable("The program git is not installed on this machine.", part="git")
        pipe = asyncio.subprocess.PIPE
        try:
            with _open_stdin_file(stdin) as given:
                starting = asyncio.create_subprocess_exec(
                    self._program,
                    *arguments,
                    stdin=given,
                    stdout=pipe,
                    stderr=pipe,
                    env={**_ENVIRONMENT, **where},
                    start_new_session=True,  # Ctrl-C in a terminal is for the server, not for a commit under way
                )
                return await self._await_process_start(asyncio.ensure_future(starting))
        except OSError as error:
            raise Unavailable("The program git does not start.", part="git") from error

    async def _await_process_start(
        self, starting: "asyncio.Future[asyncio.subprocess.Process]"
    ) -> asyncio.subprocess.Process:
        """A git that is cut while it starts runs already: it is told to end as well, where asyncio would kill it."""
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            with suppress(OSError):
                await _terminate_process(await starting, self._patience)
            raise


async def _terminate_process(process: asyncio.subprocess.Process, patience: float) -> None:
    """A git that is told to end takes its locks away with it; one that does not hear is killed."""
    for number, seconds in ((signal.SIGTERM, patience), (signal.SIGKILL, None)):
        if process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            continue
        except asyncio.CancelledError:  # once more: no time is left
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise


@contextmanager
def _open_stdin_file(stdin: bytes) -> Iterator[IO[bytes] | int]:
    """Input as a file: a git that ends early leaves no pipe behind that somebody still writes to."""
    if not stdin:
        yield asyncio.subprocess.DEVNULL
        return
    with tempfile.TemporaryFile() as file:
        file.write(stdin)
        file.seek(0)
        yield file


def make_git_error(verb: str, answer: Answer) -> Unavailable:
    if any(sign in answer.problem for sign in _FULL):
        return Unavailable("The storage is full.", reason="storage_full")
    return Unavailable(f"git {verb} failed.", part="git", exit_code=answer.code, problem=answer.problem[-500:])
