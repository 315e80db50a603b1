"""A process does what its role says."""

import asyncio
import os
import signal
from pathlib import Path

import pytest

from nexus import serving
from nexus.adapters.sqlite.lock import find_lock_holder_pid
from nexus.settings import parse_environment


async def test_a_worker_works_without_a_socket_until_it_is_told_to_stop(
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
        }
    )
    serves = asyncio.create_task(serving.serve_until_signal(settings, ready=urls.append))
    async with asyncio.timeout(50):
        while not urls:
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await serves
    assert urls == [""]
    assert find_lock_holder_pid(tmp_path) is None
