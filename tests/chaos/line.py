"""DynamoDB on loopback, and a line to it on which answers are lost after the store has done what it was told."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from nexus.adapters.dynamodb.provision import create_missing_tables
from nexus.adapters.dynamodb.tables import DynamoTables, open_dynamodb_client
from nexus.composition.tables import TABLES
from tests.chaos.harness import ROOT, must

_THROTTLED = b"ProvisionedThroughputExceededException"
_FAILED = b"InternalServerError"
_WRITES = re.compile(rb"x-amz-target: dynamodb_\d+\.(put|update|delete|transactwrite)item", re.IGNORECASE)


LATE_SECONDS = 5.0


class Line:
    """Passes requests on; of every so many writes the answer is lost, and the connection with it. In a bad time requests are refused
    before they come to the store, or come late."""

    def __init__(self, port: int) -> None:
        self._port, self._every = port, 0
        self._refused = self._late = 0.0
        self._random = Random(port)
        self._serving = set[asyncio.Task[object] | None]()
        self.requests = self.writes = self.lost = self.refused = 0

    def lose(self, every: int) -> None:
        """From now on; 0: none."""
        self._every = every

    def disturb(self, *, refused: float, late: float) -> None:
        """From now on such shares of the requests are refused, half of them throttled, and answered after LATE_SECONDS; 0: none."""
        self._refused, self._late = refused, late

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(task := asyncio.current_task())  # the loop keeps no task from being collected
        try:
            await self._pass_on(reader, writer)
        finally:
            self._serving.discard(task)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                request = await _message(reader)
                self.requests += 1
                if self._random.random() < self._late:
                    await asyncio.sleep(LATE_SECONDS)
                if self._random.random() < self._refused:
                    self.refused += 1
                    writer.write(_refusal(self._random.random() < 0.5))
                    continue
                back.write(request)
                answer = await _message(there)
                if self._is_lost(request):
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            back.close()

    def _is_lost(self, request: bytes) -> bool:
        if not self._every or not _WRITES.search(request[: request.index(b"\r\n\r\n")]):
            return False
        self.writes += 1
        lost = self.writes % self._every == 0
        self.lost += lost
        return lost


def _refusal(is_throttled: bool) -> bytes:
    body = b'{"__type":"com.amazonaws.dynamodb.v20120810#%b","message":"not now"}' % (
        _THROTTLED if is_throttled else _FAILED
    )
    status = b"400 Bad Request" if is_throttled else b"500 Internal Server Error"
    head = b"HTTP/1.1 %b\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n" % (
        status,
        len(body),
    )
    return head + body


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(length))


@asynccontextmanager
async def dynamo_behind_line() -> AsyncIterator[tuple[DynamoTables, Line]]:
    """All tables of the app, and the line to them, which loses nothing yet."""
    pipe = asyncio.subprocess.PIPE
    moto = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.moto_server", cwd=ROOT, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL
    )
    assert moto.stdin is not None and moto.stdout is not None
    try:
        must(port := int(await moto.stdout.readline() or 0), "The store did not start.")
        line = Line(port)
        async with await asyncio.start_server(line.serve, "127.0.0.1", 0) as server, _client(server) as client:
            await create_missing_tables(client, TABLES)
            yield DynamoTables(client), line
    finally:
        moto.stdin.close()
        await moto.wait()


@asynccontextmanager
async def _client(server: asyncio.Server) -> AsyncIterator[Any]:
    credentials = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
    port = server.sockets[0].getsockname()[1]
    async with open_dynamodb_client(
        region="us-east-1", endpoint_url=f"http://127.0.0.1:{port}", **credentials
    ) as client:
        yield client
