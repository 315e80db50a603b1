"""`nexus doctor --chaos`, as a user runs it."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def test_doctor_kills_a_server_of_its_own_and_finds_nothing_lost() -> None:
    command = [sys.executable, "-m", "nexus", "doctor", "--chaos", "--json"]
    with tempfile.TemporaryDirectory() as directory:
        environ = os.environ | {"TMPDIR": directory, "NEXUS_DATA_DIR": f"{directory}/untouched"}
        told = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=50)
        assert told.returncode == 0, told.stdout + told.stderr
        found = json.loads(told.stdout)
        assert [(one["name"], one["state"]) for one in found] == [
            ("what is tested", "ok"),
            ("a crash in a build", "ok"),
            ("a crash in a reply", "ok"),
        ]
        assert f"the disk of {directory}/untouched" in found[0]["detail"]
        assert "completed twice: none" in found[1]["detail"]
        assert list(Path(directory).iterdir()) == []
