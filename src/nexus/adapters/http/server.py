"""uvicorn, started and stopped by us: it listens, says when it does, and ends within a bounded time."""

import asyncio
import contextlib
import gc
import math
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import uvicorn
from msgspec.structs import replace

from nexus.adapters.http.connections import Bounds, Connection, Connections

SHUTDOWN_SECONDS = 5
BACKLOG = 2048
COLLECTIONS = (20_000, 20, 50)
"""Requests make few cycles; what they do make is found a little later."""
SEND_BUFFER = 65_536
"""Bytes that the kernel takes for a reader who stopped; left to itself it would take megabytes for each."""
UNHEARD_MS = 20_000
"""After so many milliseconds without an answer to what was sent, a connection counts as dead."""


TICKS_BETWEEN_CHECKS = 5
"""A tick of uvicorn's is a tenth of a second."""
OTHER_FILES = 256
"""Files that the store, git and the models' connections need beside the connections of the API."""


class _Server(uvicorn.Server):
    """Signals are the caller's; `listening` is set once connections are taken; connections are looked at twice a second."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS_BETWEEN_CHECKS == 0:
            now = asyncio.get_running_loop().time()
            for connection in list(self.server_state.connections):
                if isinstance(connection, Connection):
                    connection.close_if_timed_out(now)
        return await super().on_tick(counter)


def open_listening_socket(host: str, port: int) -> socket.socket:
    """A listening socket. OSError when the address is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


@asynccontextmanager
async def serve_asgi_app(app: Any, listener: socket.socket, bounds: Bounds = Bounds()) -> AsyncIterator[None]:
    """Serves an ASGI app on a socket while the context is open; leaving ends open connections within some seconds."""
    protocol: Any = partial(
        Connection, Connections(replace(bounds, connections=min(bounds.connections, _find_connection_limit())))
    )
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=math.ceil(bounds.idle_seconds),
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    started = asyncio.ensure_future(server.listening.wait())
    try:
        await asyncio.wait({serving, started}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            await serving
            raise RuntimeError("the server ended before it listened")
        with _freeze_gc_objects():
            yield
    finally:
        started.cancel()
        server.should_exit = True
        await serving
        listener.close()


def _find_connection_limit() -> int:
    """As many as this process may have files open, less those that it needs otherwise."""
    if sys.platform == "win32":
        return sys.maxsize
    import resource

    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if most == resource.RLIM_INFINITY else max(most - OTHER_FILES, most // 2)


@contextlib.contextmanager
def _freeze_gc_objects() -> Iterator[None]:
    """The garbage collector does not look again at what the start left behind: that would stop every stream for 60 ms at a time."""
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
