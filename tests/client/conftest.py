from collections.abc import AsyncIterator

import pytest

from nexus.client import Client, Pauses
from tests.client.fake import Fake


class Clock:
    """Sleeps without time: remembers for how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def fake() -> AsyncIterator[Fake]:
    fake = Fake()
    runner = await fake.start()
    yield fake
    await runner.cleanup()


@pytest.fixture
async def client(fake: Fake, clock: Clock) -> AsyncIterator[Client]:
    async with Client(fake.url, token="secret", pauses=Pauses(streams=4), sleep=clock.sleep) as client:
        yield client
