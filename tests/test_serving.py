"""A process does what its role says."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from nexus import serving
from nexus.adapters.sqlite.lock import find_lock_holder_pid
from nexus.settings import parse_environment
from tests.otlp_receiver import run_otlp_receiver
from tests.peers.servers import find_free_port


async def test_a_worker_answers_for_its_health_and_metrics_alone_until_it_is_told_to_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "check_server_can_start", lambda settings: None)  # it refuses the role over SQLite
    urls = list[str]()
    settings = parse_environment(
        {
            "NEXUS_DATA_DIR": str(tmp_path),
            "NEXUS_ROLE": "worker",
            "NEXUS_LOG__LEVEL": "debug",
            "NEXUS_LOG__FORMAT": "pretty",
            "NEXUS_METRICS__PORT": str(port := find_free_port()),
        }
    )
    serves = asyncio.create_task(serving.serve_until_signal(settings, ready=urls.append))
    async with asyncio.timeout(50):
        while not urls:
            await asyncio.sleep(0.01)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            assert (await client.get("/health")).json()["status"] == "ok"
            assert "nexus_oldest_waiting_job_seconds" in (await client.get("/metrics")).text
            assert (await client.get("/api/v2/agents")).status_code == 404
        os.kill(os.getpid(), signal.SIGTERM)
        await serves
    assert urls == [""]
    assert find_lock_holder_pid(tmp_path) is None


async def test_spans_reach_a_collector_before_the_process_ends(tmp_path: Path) -> None:
    urls = list[str]()
    with run_otlp_receiver() as receiver:
        environ = {"NEXUS_DATA_DIR": str(tmp_path), "NEXUS_PORT": "0", "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.url}
        serves = asyncio.create_task(serving.serve_until_signal(parse_environment(environ), ready=urls.append))
        async with asyncio.timeout(50):
            while not urls:
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=urls[0]) as client:
                await client.get("/health", headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
            os.kill(os.getpid(), signal.SIGTERM)
            await serves
    [span] = receiver.spans
    assert (span.name, span.trace_id.hex(), span.parent_span_id.hex()) == ("GET /health", "a" * 32, "b" * 16)
    assert (receiver.services, receiver.paths) == ({"nexus"}, {"/v1/traces"})
