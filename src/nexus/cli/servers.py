"""A server of one's own for one command: started when none answers, stopped at the end."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from nexus.cli.asked import Asked
from nexus.cli.exits import UNREACHABLE, USAGE, Ended
from nexus.client import Client, NotNexus, Unreachable

READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.1
LAST_LINES = 8


@asynccontextmanager
async def server_for(
    asked: Asked,
    client: Client,
    *,
    command: Sequence[str] | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[bool]:
    """A server answers inside; whether it is one that ends with this command. Unreachable when none does and none is wanted."""
    try:
        await client.ready()
    except Unreachable as away:
        if not asked.may_serve or isinstance(away, NotNexus):
            raise
    else:
        yield False
        return
    with tempfile.TemporaryFile() as complaints:
        child = await asyncio.create_subprocess_exec(
            *(command or _command(asked)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=complaints,
            env=dict(asked.environ),
            start_new_session=True,
        )
        try:
            asked.output.note(f"No server answers at {client.url}: one is started for this command …")
            await _ready(child, client, sleep)
            yield True
        except _Died:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
            raise Ended(UNREACHABLE, "\n  ".join(["The server did not start. It said:", *said])) from None
        finally:
            asked.output.note("The server that was started for this command is stopped.")
            await _stop(child)


class _Died(Exception):
    pass


def _command(asked: Asked) -> list[str]:
    parts = urlsplit(asked.url)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost", "::1") or parts.path.strip("/"):
        raise Ended(USAGE, f"--serve starts a server on this machine, but {asked.url} is not one of its addresses.")
    serve = [sys.executable, "-m", "nexus", "serve", "--attached", "--role", "all"]
    return [*serve, "--host", parts.hostname, "--port", str(parts.port or 80)]


async def _ready(child: asyncio.subprocess.Process, client: Client, sleep: Callable[[float], Awaitable[None]]) -> None:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await _polled(child, client, sleep)
    except TimeoutError:
        raise Ended(UNREACHABLE, f"The server was not ready after {READY_SECONDS:g} seconds.") from None


async def _polled(child: asyncio.subprocess.Process, client: Client, sleep: Callable[[float], Awaitable[None]]) -> None:
    while not await _answers(client):
        if child.returncode is not None:
            raise _Died
        await sleep(POLL_SECONDS)


async def _answers(client: Client) -> bool:
    try:
        return await client.ready()
    except Unreachable:
        return False


async def _stop(child: asyncio.subprocess.Process) -> None:
    """Lets it drain; what does not end is killed. Should this process die before, the end of the child's stdin stops it too."""
    if child.stdin is not None:
        child.stdin.close()
    with contextlib.suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
