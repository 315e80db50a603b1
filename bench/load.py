"""The client: opens streams, counts what arrives, and looks at what that cost the server."""

import asyncio
import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import quantiles
from typing import Any, NamedTuple

from bench.model_server import TOKEN

_TOKEN = TOKEN.strip().encode()
_END = b"0\r\n\r\n"
_TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 120.0


class Reader(asyncio.Protocol):
    """A connection that sends one request and reads its stream to the end."""

    def __init__(self) -> None:
        self.began = self.first = 0.0
        self.tokens = 0
        self.headers = b""
        self._kept = b""
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, request: bytes) -> None:
        self.began = time.perf_counter()
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        if not self.headers:
            self.headers = data
            if b" 200 " not in data[:16]:
                self._over(RuntimeError(f"the answer was {data[:300]!r}"))
                return
        data = self._kept + data
        self.tokens += data.count(_TOKEN)
        if self.tokens and not self.first:
            self.first = time.perf_counter()
            if not self.started.done():
                self.started.set_result(None)
        self._kept = data[1 - len(_TOKEN) :]
        if data.endswith(_END):
            self._over(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._over(error or ConnectionError("the connection was closed before the end"))

    def _over(self, error: Exception | None) -> None:
        if not self.started.done():
            self.started.cancel()
        if self.ended.done():
            return
        if error:
            self.ended.set_exception(error)
        else:
            self.ended.set_result(None)


class Run(NamedTuple):
    """What some streams took: `wall` and `cpu` (the server's) in seconds, `firsts` each stream's wait for its first token."""

    tokens: int
    wall: float
    cpu: float
    firsts: Sequence[float]

    @property
    def cpu_per_token(self) -> float:
        """µs."""
        return self.cpu / self.tokens * 1e6

    @property
    def rate(self) -> float:
        return self.tokens / self.wall


async def opened(address: tuple[str, int], count: int) -> list[Reader]:
    loop = asyncio.get_running_loop()
    readers = []
    for _ in range(count):
        _, reader = await loop.create_connection(Reader, *address)
        readers.append(reader)
    return readers


async def streamed(address: tuple[str, int], requests: Sequence[bytes], *, tokens: int, pid: int | None) -> Run:
    """Sends all requests at once and reads every stream to its end; each must have brought so many tokens."""
    readers = await opened(address, len(requests))
    cpu, began = cpu_seconds(pid), time.perf_counter()
    for reader, request in zip(readers, requests, strict=True):
        reader.ask(request)
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(reader.ended for reader in readers))
    finally:
        wall, cpu = time.perf_counter() - began, cpu_seconds(pid) - cpu
        for reader in readers:
            reader.ended.cancel()
            reader.transport.abort()
    if short := [reader.tokens for reader in readers if reader.tokens < tokens]:
        raise RuntimeError(f"{len(short)} streams were short: {short[0]} of {tokens} tokens")
    return Run(tokens * len(requests), wall, cpu, [reader.first - reader.began for reader in readers])


async def held(address: tuple[str, int], requests: Sequence[bytes]) -> list[Reader]:
    """Streams that stay open: returns once each has shown its first token."""
    readers = []
    for start in range(0, len(requests), 50):
        some = await opened(address, len(requests[start : start + 50]))
        for reader, request in zip(some, requests[start : start + 50], strict=True):
            reader.ask(request)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(reader.started for reader in some))
        readers += some
    return readers


def let_go(readers: Sequence[Reader]) -> None:
    for reader in readers:
        reader.ended.cancel()
        reader.transport.abort()


class Getter(asyncio.Protocol):
    """A connection that asks again as soon as it is answered."""

    def __init__(self) -> None:
        self._answer: asyncio.Future[bytes] | None = None
        self._buffer = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get(self, request: bytes) -> asyncio.Future[bytes]:
        self._buffer = b""
        self._answer = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or not self._answer or self._answer.done():
            return
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        if len(body) >= length:
            self._answer.set_result(self._buffer)


async def gets(address: tuple[str, int], request: bytes, *, count: int, pid: int) -> tuple[float, float]:
    """µs of a GET on one connection: of the server's CPU, and of waiting for it (median)."""
    _, getter = await asyncio.get_running_loop().create_connection(Getter, *address)
    for _ in range(min(count, 50)):
        if b" 200 " not in (answer := await getter.get(request))[:16]:
            raise RuntimeError(f"the answer was {answer[:300]!r}")
    waits, cpu = [], cpu_seconds(pid)
    for _ in range(count):
        began = time.perf_counter()
        await getter.get(request)
        waits.append(time.perf_counter() - began)
    cpu = cpu_seconds(pid) - cpu
    getter.transport.close()
    return cpu / count * 1e6, quantiles(waits, n=2)[0] * 1e6


def cpu_seconds(pid: int | None) -> float:
    """The processor time of all threads so far: in ns where the kernel tells, else in ticks."""
    if pid is None:
        return 0.0
    try:
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
    except OSError:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICK


def memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024
