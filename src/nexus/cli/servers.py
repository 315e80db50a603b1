"""The server for a command: the one that answers, or one of its own, started when none does and stopped at the end."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import IO
from urllib.parse import urlsplit

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, UNREACHABLE, USAGE, Ended
from nexus.client import Client, NotNexus, Pauses, Unreachable

SERVE = (sys.executable, "-m", "nexus", "serve", "--attached")
READY_SECONDS = 60.0
STOP_SECONDS = 30.0
POLL_SECONDS = 0.05
LAST_LINES = 8

OnServer = Callable[[Asked, Client], Awaitable[int | None]]
"""A command that is handed a client; its exit code, or None where all went well."""


def connect_client(asked: Asked) -> Client:
    """A server that refuses the first connection is not there: people do not wait to be told."""
    try:
        return Client(
            asked.server_url, token=asked.server_token, pauses=Pauses(first_contact=1), notice=asked.output.write_note
        )
    except ValueError as error:
        raise Ended(USAGE, str(error)) from error


def on_server(asked: Asked, work: OnServer) -> int:
    """What the work comes to on a server: the one that answers, or one of its own where that is wanted."""

    async def run() -> int:
        async with connect_client(asked) as client, AsyncExitStack() as stack:
            own = asked.may_start_server and await stack.enter_async_context(provide_server(asked, client))
            return await work(replace(asked, owns_server=own), client) or OK

    return asyncio.run(run())


@asynccontextmanager
async def provide_server(asked: Asked, client: Client, *, command: Sequence[str] | None = None) -> AsyncIterator[bool]:
    """A server answers inside; whether it is one that ends with this command. Unreachable when none does and none is wanted."""
    try:
        await client.ready()
    except Unreachable as away:
        if not asked.may_start_server or isinstance(away, NotNexus):
            raise
    else:
        yield False
        return
    with tempfile.TemporaryFile() as complaints:
        child = await start_server_process(command or _make_serve_command(asked), asked.environ, complaints)
        try:
            asked.output.write_note(f"No server answers at {client.url}: one is started for this command …")
            await _wait_for_server_start(child, client, complaints)
            yield True
        finally:
            asked.output.write_note("The server that was started for this command is stopped.")
            await _stop_server_process(child)


async def start_server_process(
    command: Sequence[str], environ: Mapping[str, str], stderr: IO[bytes] | int = asyncio.subprocess.DEVNULL
) -> asyncio.subprocess.Process:
    """A process whose stdin ends with this one, and which Ctrl-C does not reach."""
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=stderr,
        env=dict(environ),
        start_new_session=True,
    )


async def wait_until_server_ready(child: asyncio.subprocess.Process, client: Client) -> bool:
    """Whether it takes work now; False when it ended before. TimeoutError after a minute."""
    ready = False
    async with asyncio.timeout(READY_SECONDS):
        while child.returncode is None and not ready:
            await asyncio.sleep(POLL_SECONDS)
            with suppress(Unreachable):
                ready = await client.ready()
    return ready


def _make_serve_command(asked: Asked) -> list[str]:
    parts = urlsplit(asked.server_url)
    if parts.scheme != "http" or parts.hostname not in ("127.0.0.1", "localhost", "::1") or parts.path.strip("/"):
        raise Ended(
            USAGE, f"--serve starts a server on this machine, but {asked.server_url} is not one of its addresses."
        )
    return [*SERVE, "--role", "all", "--host", parts.hostname, "--port", str(parts.port or 80)]


async def _wait_for_server_start(child: asyncio.subprocess.Process, client: Client, complaints: IO[bytes]) -> None:
    try:
        if await wait_until_server_ready(child, client):
            return
    except TimeoutError:
        raise Ended(UNREACHABLE, f"The server was not ready after {READY_SECONDS:g} seconds.") from None
    complaints.seek(0)
    said = complaints.read().decode(errors="replace").strip().splitlines()[-LAST_LINES:]
    raise Ended(UNREACHABLE, "\n  ".join(["The server did not start. It said:", *said]))


async def _stop_server_process(child: asyncio.subprocess.Process) -> None:
    """Lets it drain; what does not end is killed. Should this process die before, the end of the child's stdin stops it too."""
    if child.stdin is not None:
        child.stdin.close()
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()
