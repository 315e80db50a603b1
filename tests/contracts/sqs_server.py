"""Queues of SQS for the tests, and clients that fail as a test wants it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from nexus.adapters.sqs.jobs import SqsJobs
from nexus.adapters.sqs.queues import QUEUES, Queue, open_client, read_queue_depths
from nexus.domain.builds.model import RunBuild

Call = Callable[..., Coroutine[Any, Any, Any]]
AS_ON_AWS = pytest.mark.parametrize("sqs_url", ["moto"], indirect=True)
"""For what ElasticMQ does otherwise than SQS: it refuses groups on a standard queue, tells no time of retention, and makes a queue that is
there already, with whatever attributes."""
NO_QUEUE = "NonExistentQueue|QueueDoesNotExist"


class Changed:
    """A client of which some calls are others; each gets the call in whose place it stands. Counts what was called."""

    def __init__(self, client: Any, **changes: Callable[[Call], Call]) -> None:
        self._client, self._changes = client, changes
        self.calls: list[tuple[str, Mapping[str, Any]]] = []

    def __getattr__(self, name: str) -> Call:
        call = getattr(self._client, name)
        made = self._changes[name](call) if name in self._changes else call

        async def counted(**request: Any) -> Any:
            self.calls.append((name, request))
            return await made(**request)

        return counted

    def count(self, name: str) -> int:
        return len([called for called, _ in self.calls if called == name])


def fail_one_entry(times: int, code: str = "InternalError") -> Callable[[Call], Call]:
    """Of so many requests, the first entry fails and the others go through."""
    left = iter(range(times))

    def change(call: Call) -> Call:
        async def fail(**request: Any) -> Any:
            if next(left, None) is None:
                return await call(**request)
            first, *others = request["Entries"]
            answer = await call(**{**request, "Entries": others}) if others else {"Successful": []}
            return {**answer, "Failed": [{"Id": first["Id"], "SenderFault": False, "Code": code, "Message": "no"}]}

        return fail

    return change


def name_queues() -> list[Queue]:
    """The declared ones under names of this test."""
    mark = uuid4().hex[:8]
    return [replace(one, name=f"{one.name}-{mark}", dead_letters=f"{one.dead_letters}-{mark}") for one in QUEUES]


@asynccontextmanager
async def sqs_client(url: str) -> AsyncIterator[Any]:
    credentials = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
    async with open_client(region="us-east-1", endpoint_url=url, **credentials) as client:
        yield client


async def send(jobs: SqsJobs, *names: str) -> None:
    await asyncio.gather(*(jobs.enqueue_job(RunBuild(task_id=name), key=name) for name in names))


async def read_depth(client: Any, queue: Queue) -> tuple[int, int | None, int | None]:
    """How many wait, were received and not deleted, and are dead."""
    [depth] = await read_queue_depths(client, [queue])
    return depth.waiting, depth.in_flight, depth.dead
