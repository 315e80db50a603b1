"""Keys and tokens come in the environment: nobody reads them from a process or from what it starts, not even between fork and exec."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

_FORKS = """
import ctypes, os, subprocess, sys
from pathlib import Path
if sys.argv[1] == "hidden":
    from nexus.adapters.confined.environment import erase_proc_environ
    erase_proc_environ()
shown = [Path("/proc/self/environ").read_bytes()]
ready, done = os.pipe(), os.pipe()
child = os.fork()
if not child:  # as every child is until it executes something
    os.write(ready[1], b"x")
    os.read(done[0], 1)
    os._exit(0)
os.read(ready[0], 1)
shown.append(Path(f"/proc/{child}/environ").read_bytes())
os.write(done[1], b"x")
os.waitpid(child, 0)
print(["canary" in text.decode() for text in shown])
getenv = ctypes.CDLL(None).getenv
getenv.restype = ctypes.c_char_p
told = subprocess.run(["/bin/sh", "-c", "echo $NEXUS_KEY"], capture_output=True, text=True, check=True).stdout.strip()
print([os.environ["NEXUS_KEY"], getenv(b"NEXUS_KEY").decode(), told])
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only /proc shows environments")
@pytest.mark.parametrize(("hidden", "shows"), [("shown", True), ("hidden", False)])
async def test_no_child_shows_the_environment_and_the_process_keeps_it(hidden: str, shows: bool) -> None:
    environ = {"PATH": os.defpath, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "NEXUS_KEY": "the canary"}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _FORKS, hidden), env=environ, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines() == [f"[{shows}, {shows}]", "['the canary', 'the canary', 'the canary']"]


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only /proc shows environments")
async def test_a_server_shows_no_key_and_no_token(tmp_path: Path) -> None:
    environ = {
        **{name: text for name, text in os.environ.items() if not name.startswith("NEXUS_")},
        "NEXUS_AUTH__TOKEN": "the-canary-sings-a-long-song",
        "OTHER_API_KEY": "canary",
    }
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "nexus", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
        env=environ,
        stderr=asyncio.subprocess.PIPE,
    )
    assert server.stderr is not None
    try:
        while b"ready at" not in (line := await server.stderr.readline()):
            assert line, "it ended"
        assert b"canary" not in Path(f"/proc/{server.pid}/environ").read_bytes()
    finally:
        server.terminate()
        await server.communicate()
