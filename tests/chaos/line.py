"""DynamoDB on loopback, and a line to it on which answers are lost after the store has done what it was told."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from nexus.adapters.dynamodb.provision import create_missing_tables
from nexus.adapters.dynamodb.tables import DynamoTables, open_dynamodb_client
from nexus.composition.tables import TABLES
from tests.chaos.harness import ROOT, must

_WRITES = re.compile(rb"x-amz-target: dynamodb_\d+\.(put|update|delete|transactwrite)item", re.IGNORECASE)


class Line:
    """Passes requests on; of every so many writes the answer is lost, and the connection with it."""

    def __init__(self, port: int) -> None:
        self._port, self._every = port, 0
        self.writes = self.lost = 0

    def lose(self, every: int) -> None:
        """From now on; 0: none."""
        self._every = every

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                request = await _message(reader)
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
