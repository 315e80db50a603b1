"""`nexus queues`: what lies in the queues, and dead letters that go back."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from nexus.adapters.sqs.jobs import SqsJobs
from nexus.adapters.sqs.queues import make_queue_set, provision_queues
from tests.cli.conftest import Nexus
from tests.contracts.conftest import aws_url as aws_url
from tests.contracts.sqs_server import send, sqs_client

PREFIX = "cli-"
QUEUES = make_queue_set(PREFIX)


@pytest.fixture(scope="module")
def environ(aws_url: str) -> Mapping[str, str]:
    """One job in the queue of builds, and one dead letter."""

    async def fill() -> None:
        async with sqs_client(aws_url) as client:
            await provision_queues(client, QUEUES)
            await send(SqsJobs(client, queue=QUEUES.build), "a")
            url = (await client.get_queue_url(QueueName=QUEUES.build.dead_letters))["QueueUrl"]
            await client.send_message(QueueUrl=url, MessageBody="dead")

    asyncio.run(fill())
    return {
        "NEXUS_QUEUE__BACKEND": "sqs",
        "NEXUS_QUEUE__PREFIX": PREFIX,
        "SQS_ENDPOINT_URL": aws_url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
    }


@pytest.fixture(autouse=True)
def credentials(environ: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The SDK reads them from the process itself."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, environ[name])


def read_counts(nexus: Nexus, environ: Mapping[str, str]) -> Any:
    found = nexus("queues", "--json", **environ).json["items"]
    return [(one["name"], one["waiting"], one["in_flight"], one["dead"]) for one in found]


def test_queues_are_counted_and_dead_letters_go_back(nexus: Nexus, environ: Mapping[str, str]) -> None:
    assert read_counts(nexus, environ) == [
        ("cli-build-queue", 1, 0, 1),
        ("cli-deploy-queue", 0, 0, 0),
        ("cli-notification-queue", 0, 0, 0),
    ]
    said = nexus("queues", **environ)
    assert (said.code, said.out.split("\n")[1].split()[:2]) == (0, ["cli-build-queue", "1"])
    assert "Moved 1 dead letters" in nexus("queues", "redrive", "cli-build-queue", **environ).out
    assert read_counts(nexus, environ)[0] == ("cli-build-queue", 2, 0, 0)
    refused = nexus("queues", "redrive", "cli-none-queue", **environ)
    assert (refused.code, "no queue cli-none-queue" in refused.err) == (1, True)


@pytest.mark.parametrize("argv", [("queues",), ("queues", "redrive", "nexus-build-queue")])
def test_without_a_queue_between_processes_it_says_so(nexus: Nexus, argv: tuple[str, ...]) -> None:
    said = nexus(*argv)
    assert (said.code, "NEXUS_QUEUE__BACKEND=inprocess" in said.err) == (2, True)


def test_arq_has_no_dead_letters_and_needs_an_address(nexus: Nexus) -> None:
    arq = {"NEXUS_QUEUE__BACKEND": "arq"}
    assert "NEXUS_REDIS__URL" in nexus("queues", **arq).err
    said = nexus("queues", "redrive", "x", **arq, NEXUS_REDIS__URL="redis://127.0.0.1:1")
    assert (said.code, "no dead letters" in said.err) == (2, True)
    assert nexus("queues", **arq, NEXUS_REDIS__URL="redis://127.0.0.1:1").code == 1
