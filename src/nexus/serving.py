"""Serving: a process behind a socket, from the first request to the last."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing

from msgspec import structs
from uvicorn.loops.auto import auto_loop_factory

from nexus.adapters.confined.environment import erase_proc_environ
from nexus.adapters.http.app import make_http_app, make_operator_app
from nexus.adapters.http.connections import Bounds
from nexus.adapters.http.server import open_listening_socket, serve_asgi_app
from nexus.adapters.http.streams import Streams
from nexus.adapters.structlog import logs
from nexus.adapters.token.authenticator import TokenAuthenticator
from nexus.composition.process import DUTIES, Process, open_process
from nexus.composition.tracing import open_tracer
from nexus.domain.core import failpoints
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.addresses import parse_networks
from nexus.settings import Settings
from nexus.start import check_server_can_start, describe_bind_error


def run_server(settings: Settings, *, ready: Callable[[str], None]) -> None:
    """`serve` on the fastest loop that the machine has, in a process that shows its environment to nobody."""
    erase_proc_environ()
    with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
        runner.run(serve_until_signal(settings, ready=ready))


async def serve_until_signal(settings: Settings, *, ready: Callable[[str], None]) -> None:
    """Serves until SIGTERM or SIGINT, then drains: readiness goes, streams are told, work is finished or handed back. `ready` hears
    the URL once requests are answered; of a worker, an empty one. InvalidInput for settings that must not be served."""
    check_server_can_start(settings)
    failpoints.arm_failpoint(settings.chaos.failpoint)
    logs.configure_logging(settings.log.level, settings.log.format)
    stopping = _install_signal_handlers()
    async with AsyncExitStack() as stack:
        answers = "http" in DUTIES[settings.role]
        listener = (
            stack.enter_context(closing(_bind_listening_socket(settings.host, settings.port))) if answers else None
        )
        metrics_listener = (
            stack.enter_context(closing(_bind_metrics_socket(settings))) if settings.metrics.port else None
        )
        await stack.enter_async_context(open_tracer(settings))
        process = await stack.enter_async_context(open_process(settings))
        if metrics_listener:
            await stack.enter_async_context(_serve_metrics(settings, process, metrics_listener))
        if listener is None:
            ready("")
            await stopping.wait()
            await process.lanes.drain_jobs(settings.limits.drain_seconds)
        else:
            await _serve_http_requests(settings, process, listener, stopping, ready)


async def _serve_http_requests(
    settings: Settings, process: Process, listener: socket.socket, stopping: asyncio.Event, ready: Callable[[str], None]
) -> None:
    streams, state = Streams(longest=settings.limits.stream_seconds), {"status": "ready"}
    process.metrics.watch_open_streams(streams.__len__)
    app = make_http_app(
        process.services,
        authenticator=_make_authenticator(settings),
        metrics=process.metrics,
        hosts=[settings.host],
        streams=streams,
        parts=process.describe_health,
        ready=lambda: state,
    )
    async with serve_asgi_app(app, listener, _make_connection_limits(settings)):
        host, port = listener.getsockname()[:2]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        await stopping.wait()
        state["status"] = "draining"
        streams.stop_all_streams()
        await process.lanes.drain_jobs(settings.limits.drain_seconds)


@asynccontextmanager
async def _serve_metrics(settings: Settings, process: Process, listener: socket.socket) -> AsyncIterator[None]:
    app = make_operator_app(
        parts=process.describe_health,
        authenticator=_make_authenticator(settings),
        metrics=process.metrics,
        hosts=[settings.host],
    )
    async with serve_asgi_app(app, listener, _make_connection_limits(settings)):
        yield


def _make_authenticator(settings: Settings) -> TokenAuthenticator:
    return TokenAuthenticator(settings.auth.token.reveal() if settings.auth.token else None)


def _bind_listening_socket(host: str, port: int, option: str = "--port") -> socket.socket:
    """Before anything is opened: a server that cannot listen must not begin to work."""
    try:
        return open_listening_socket(host, port)
    except OSError as error:
        raise InvalidInput(describe_bind_error(error, host, port, option)) from error


def _bind_metrics_socket(settings: Settings) -> socket.socket:
    return _bind_listening_socket(settings.host, settings.metrics.port, "NEXUS_METRICS__PORT")


def _make_connection_limits(settings: Settings) -> Bounds:
    limits = structs.asdict(settings.limits)
    shared = {name: limits[name] for name in Bounds.__struct_fields__ if name in limits}
    return Bounds(**shared, trusted=parse_networks(settings.trusted_proxies))


def _install_signal_handlers() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT; the second one ends the process as usual."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        loop.remove_signal_handler(number)
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return stopping
