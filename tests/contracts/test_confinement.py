"""Hostile programs against every plan of walls that this machine allows. Each attack is first shown to work without walls."""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nexus.adapters.confined import probe
from nexus.adapters.confined.inside import landlock, seccomp
from nexus.adapters.confined.inside.walls import Plan
from nexus.adapters.confined.process import Run, run_isolated_program
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.ports.code import Limits, Outcome, Program

CANARY = "the canary sings"
USER = 61_200

ATTACKS = {
    "read a file of the data directory": "return open(t['data_canary']).read()",
    "read another program's directory": "return open(t['canary']).read()",
    "list the data directory": "return os.listdir(os.path.dirname(t['data_canary']))",
    "walk up by dots": "return open('../' * 30 + t['canary']).read()",
    "follow a symbolic link out": "os.symlink(t['canary'], 'link'); return open('link').read()",
    "make a hard link out": "os.link(t['canary'], t['canary'] + '2'); return 'linked'",
    "read the file of a started directory handle": (
        "h = os.open(os.path.dirname(t['canary']), os.O_RDONLY); return os.listdir(h)"
    ),
    "read the server's environment": "return open(f\"/proc/{t['server']}/environ\", 'rb').read().decode()",
    "list the server's open files": "return os.listdir(f\"/proc/{t['server']}/fd\")",
    "open the server's memory": "return open(f\"/proc/{t['server']}/mem\", 'rb').fileno()",
    "list processes": "return [os.listdir('/proc')] if len(os.listdir('/proc')) > 2 else 1 / 0",
    "write outside": "open(t['outside'] + '/x', 'w').write('x'); return 'written'",
    "remove a file outside": "os.remove(t['victim_file']); return 'removed'",
    "truncate a file outside": "os.truncate(t['victim_file'], 0); return 'emptied'",
    "change the mode of a file outside": "os.chmod(t['victim_file'], 0o777); return 'opened'",
    "tcp to loopback": "socket.create_connection(('127.0.0.1', t['tcp']), 1); return 'connected'",
    "udp": "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', t['udp'])); return 'sent'",
    "listen": "s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); return 'listening'",
    "unix socket": "socket.socket(socket.AF_UNIX).connect(t['unix']); return 'connected'",
    "unix datagram through a socket pair": (
        "a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.sendto(b'x', t['datagram']); return 'sent'"
    ),
    "abstract socket": "socket.socket(socket.AF_UNIX).connect('\\0' + t['abstract']); return 'connected'",
    "name lookup": "return socket.getaddrinfo('localhost', 80)[0][4][0]",
    "netlink": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); return 'open'",
    "socket through ctypes": "f = libc.syscall({'x86_64': 41, 'aarch64': 198}[os.uname().machine], 2, 1, 0); return f if f >= 0 else 1 / 0",
    "signal the server": "os.kill(t['server'], 0); return 'seen'",
    "queue a signal through ctypes": "return 'seen' if libc.sigqueue(t['server'], 0, None) == 0 else 1 / 0",
    "run a shell": "return subprocess.run(['/bin/sh', '-c', 'echo ran'], capture_output=True, text=True, check=True).stdout",
    "os.system": "return 'ran' if os.system('true') == 0 else 1 / 0",
    "replace the process": "os.execv(sys.executable, [sys.executable, '-c', 'print(chr(34) + \"ran\" + chr(34))'])",
    "fork": "p = os.fork(); p or os._exit(0); os.waitpid(p, 0); return 'forked'",
    "leave a process behind": (
        "p = subprocess.Popen([sys.executable, '-c', 'pass'], start_new_session=True); p.wait(); return 'left'"
    ),
    "a user namespace": "return 'made' if libc.unshare(0x10000000) == 0 else 1 / 0",
    "trace a child": "return 'traced' if libc.ptrace(0, 0, 0, 0) == 0 else 1 / 0",
    "a nameless file in memory": "return os.memfd_create('x')",
    "shared memory": "f = libc.shmget(0, 4096, 0o1600); return 'made' if f >= 0 and libc.shmctl(f, 0, 0) == 0 else 1 / 0",
    "a named pipe": "os.mkfifo(t['outside'] + '/pipe'); return 'made'",
    "larger limits": (
        "resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1])); return 256"
    ),
    "inherited handles": "return [n for n in range(3, 20) if is_open(n) and not is_pipe(n)] or 1 / 0",
    "inherited environment": "return dict(os.environ) or 1 / 0",
}
HEAD = """
import ctypes, os, resource, socket, stat, subprocess, sys
libc = ctypes.CDLL(None)
def is_open(n):
    try:
        return bool(os.fstat(n))
    except OSError:
        return False
def is_pipe(n):
    return is_open(n) and stat.S_ISFIFO(os.fstat(n).st_mode)
def tool(t):
"""


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """Files, sockets and a server that an unconfined program of any user can reach."""
    with contextlib.ExitStack() as stack:
        near = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nexus-")))
        room = near / "room"
        for directory in (near, room, near / "data", near / "outside"):
            directory.mkdir(exist_ok=True)
            directory.chmod(0o777)
        for file in (near / "data" / "canary", near / "outside" / "canary", near / "outside" / "victim"):
            file.write_text(CANARY)
            file.chmod(0o666)
        sockets = {
            name: stack.enter_context(socket.socket(family, kind))
            for name, family, kind in (
                ("tcp", socket.AF_INET, socket.SOCK_STREAM),
                ("udp", socket.AF_INET, socket.SOCK_DGRAM),
                ("unix", socket.AF_UNIX, socket.SOCK_STREAM),
                ("datagram", socket.AF_UNIX, socket.SOCK_DGRAM),
                ("abstract", socket.AF_UNIX, socket.SOCK_STREAM),
            )
        }
        for name in ("tcp", "udp"):
            sockets[name].bind(("127.0.0.1", 0))
        for name in ("unix", "datagram"):
            sockets[name].bind(str(near / name))
            (near / name).chmod(0o777)
        sockets["abstract"].bind("\0" + near.name)
        for name in ("tcp", "unix", "abstract"):
            sockets[name].listen()
        for each in sockets.values():
            each.setblocking(False)
        yield {
            "room": room,
            "sockets": sockets,
            "targets": {
                "server": os.getpid(),
                "data_canary": str(near / "data" / "canary"),
                "canary": str(near / "outside" / "canary"),
                "victim_file": str(near / "outside" / "victim"),
                "outside": str(near / "outside"),
                "tcp": sockets["tcp"].getsockname()[1],
                "udp": sockets["udp"].getsockname()[1],
                "unix": str(near / "unix"),
                "datagram": str(near / "datagram"),
                "abstract": near.name,
            },
        }


PLANS = probe.list_isolation_plans(root=os.geteuid() == 0, landlock=landlock.find_landlock_version() > 0, user=USER)


def _name(plan: Plan) -> str:
    words = {
        "namespaces": plan.own_namespaces and not plan.user_namespace,
        "user-namespace": plan.user_namespace,
        "own-user": plan.user is not None,
        "landlock": plan.landlock,
    }
    return "+".join(word for word, used in words.items() if used)


_judged: dict[str, str | None] = {}


@pytest.fixture(params=PLANS, ids=_name)
async def plan(request: pytest.FixtureRequest, ground: dict[str, Any], tmp_path: Path) -> Plan:
    """A plan that the self-test accepts; another one would never be in force."""
    plan: Plan = request.param
    if _name(plan) not in _judged:
        with probe.make_attack_targets(tmp_path / "data", ground["room"]) as targets:
            _judged[_name(plan)] = await probe.find_plan_weakness(plan, targets, ground["room"])
    if reason := _judged[_name(plan)]:
        pytest.skip(f"not possible on this machine: {reason}")
    return plan


async def run(plan: Plan, ground: dict[str, Any], body: str, limits: Limits = Limits()) -> Outcome:
    program = Program(files={"tool.py": HEAD + "    " + body.replace("\n", "\n    ") + "\n"})
    arguments = {"t": ground["targets"]}
    task = Run(program=program, limits=limits, plan=plan, function="tool.py:tool", arguments=arguments)
    outcome, _ = await run_isolated_program(task, ground["room"])
    return outcome


@pytest.mark.parametrize("attack", [name for name in ATTACKS if not name.startswith("larger")])
async def test_an_attack_works_without_walls(attack: str, ground: dict[str, Any]) -> None:
    source = HEAD + "    " + ATTACKS[attack] + f"\nimport json\nprint(json.dumps(tool({ground['targets']!r})))\n"
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "ignore", "-c", source],
        cwd=ground["room"],
        pass_fds=(ground["sockets"]["tcp"].fileno(),),
        capture_output=True,
        text=True,
        check=False,
    )
    if attack == "a user namespace" and ran.returncode:
        pytest.skip("this kernel refuses namespaces to every user")
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout)


@pytest.mark.parametrize("attack", ATTACKS)
async def test_an_attack_fails_behind_the_walls(attack: str, plan: Plan, ground: dict[str, Any]) -> None:
    outcome = await run(plan, ground, ATTACKS[attack])
    assert outcome.status == "raised", outcome
    assert CANARY not in f"{outcome.value}{outcome.output}{outcome.error}"
    assert Path(ground["targets"]["victim_file"]).read_text() == CANARY
    assert {file.name for file in Path(ground["targets"]["outside"]).iterdir()} == {"canary", "victim"}
    assert not _touched(ground["sockets"])


def _touched(sockets: dict[str, socket.socket]) -> list[str]:
    touched = []
    for name, each in sockets.items():
        with contextlib.suppress(BlockingIOError):
            each.recv(1) if name in {"udp", "datagram"} else each.accept()[0].close()
            touched.append(name)
    return touched


@pytest.mark.parametrize(
    "path", ["/etc/shadow", "/etc/passwd", "/etc/hostname", "/proc/1/environ", "/root", "/var/log"]
)
async def test_the_machine_cannot_be_read(path: str, plan: Plan, ground: dict[str, Any]) -> None:
    outcome = await run(
        plan, ground, f"return os.listdir({path!r}) if os.path.isdir({path!r}) else open({path!r}).read()"
    )
    assert outcome.status == "raised" or outcome.value == [".pyenv"], outcome  # the way to an interpreter below /root


async def test_what_is_tested_finds_no_test_and_no_judge(plan: Plan, ground: dict[str, Any]) -> None:
    """Behind every plan: the files, the memory, the pipes and the process of the judge are out of reach."""
    code = """
import os
def find():
    found = [os.path.join(at, name) for top in ("/", "..", "../..", "/space", "/tmp", "/proc/1") for at, _, names in os.walk(top)
             for name in names if name.startswith("test_canary")]
    for pid in {1, *range(os.getppid() - 3, os.getpid() + 6)} - {os.getpid()}:
        for file in ("mem", "environ", "cmdline", "fd/3"):
            try:
                os.close(os.open(f"/proc/{pid}/{file}", os.O_RDONLY))
                found.append(f"{pid}/{file}")
            except OSError:
                pass
        try:
            os.kill(pid, 0)
            found.append(pid)
        except OSError:
            pass
    return found
"""
    tests = "from tools.find import find\n\ndef test_nothing():\n    assert find() == []\n"
    files = {"tools/find.py": code, "tests/test_canary.py": tests}
    outcome, results = await run_isolated_program(
        Run(program=Program(files), limits=Limits(), plan=plan), ground["room"]
    )
    assert (outcome.status, [result.error for result in results]) == ("ok", [None])


async def test_a_fork_bomb_forks_nothing(plan: Plan, ground: dict[str, Any]) -> None:
    body = "n = 0\nfor _ in range(500):\n    try:\n        os.fork() or os._exit(0)\n        n += 1\n    except OSError:\n        pass\nreturn n"
    assert (await run(plan, ground, body)).value == 0


async def test_a_thread_bomb_ends_by_itself(plan: Plan, ground: dict[str, Any]) -> None:
    body = "import threading\nwait = threading.Event()\nfor _ in range(5000):\n    threading.Thread(target=wait.wait).start()"
    outcome = await run(plan, ground, body)
    assert outcome.status in {"raised", "out_of_memory"}


async def test_a_memory_bomb_is_out_of_memory(plan: Plan, ground: dict[str, Any]) -> None:
    outcome = await run(plan, ground, "x = [bytearray(50_000_000) for _ in range(100)]", Limits(memory_mb=200))
    assert outcome.status == "out_of_memory"


async def test_a_disk_bomb_fills_only_its_own_small_space(plan: Plan, ground: dict[str, Any]) -> None:
    before = set(ground["room"].iterdir())
    body = "n = 0\nwhile True:\n    n += 1\n    with open(f'f{n}', 'wb') as f:\n        f.write(bytes(8_000_000))"
    outcome = await run(plan, ground, body)
    assert outcome.status == "raised"
    assert "Error: [Errno" in str(outcome.error)
    assert set(ground["room"].iterdir()) == before


async def test_very_many_empty_files_are_refused(plan: Plan, ground: dict[str, Any]) -> None:
    outcome = await run(plan, ground, "for n in range(100_000):\n    open(f'f{n}', 'w').close()")
    assert outcome.status == "raised"


async def test_an_output_bomb_is_stopped(plan: Plan, ground: dict[str, Any]) -> None:
    body = "while True:\n    os.write(1, b'x' * 65536)"
    outcome = await run(plan, ground, body, Limits(output_bytes=100_000))
    assert (outcome.status, len(outcome.output)) == ("too_much_output", 100_000)


async def test_a_bomb_on_the_pipe_of_results_is_stopped(plan: Plan, ground: dict[str, Any]) -> None:
    body = "pipe = next(n for n in range(63, 2, -1) if is_pipe(n))\nwhile True:\n    os.write(pipe, b'x' * 65536)"
    outcome = await run(plan, ground, body, Limits(output_bytes=100_000))
    assert outcome.status == "too_much_output"


async def test_the_standard_library_is_there_and_installed_packages_are_not(plan: Plan, ground: dict[str, Any]) -> None:
    names = "asyncio csv decimal difflib hashlib html json math random re sqlite3 statistics string textwrap uuid zlib zoneinfo"
    body = f"import importlib, asyncio\nfor name in {names.split()!r}:\n    importlib.import_module(name)\nasync def a():\n    return await asyncio.to_thread(len, 'abc')\nreturn asyncio.run(a())"
    outcome = await run(plan, ground, body)
    assert (outcome.value, outcome.error) == (3, None)
    assert "No module named 'msgspec'" in str((await run(plan, ground, "import msgspec")).error)


async def test_files_can_be_used_where_they_are_private(plan: Plan, ground: dict[str, Any]) -> None:
    body = "import tempfile\nwith tempfile.NamedTemporaryFile('w+') as f:\n    f.write('kept')\n    f.seek(0)\n    return f.read()"
    outcome = await run(plan, ground, body)
    assert outcome.value == ("kept" if plan.own_namespaces else None)


async def test_errors_show_no_path_of_the_server(plan: Plan, ground: dict[str, Any]) -> None:
    for body in ("raise ValueError(__file__)", "open('nowhere')", "import json\njson.loads('x')", "import nowhere"):
        error = str((await run(plan, ground, body)).error)
        assert str(ground["room"]) not in error
        assert sys.base_prefix not in error


async def test_a_broken_wall_leaves_level_zero_and_its_reason(ground: dict[str, Any], tmp_path: Path) -> None:
    """Without a private file system and without Landlock the self-test has to notice."""
    open_plan = Plan(own_namespaces=False, user_namespace=False, landlock=False)
    with probe.make_attack_targets(tmp_path / "data", ground["room"]) as targets:
        reason = await probe.find_plan_weakness(open_plan, targets, ground["room"])
    assert reason is not None
    assert "read canary in the data directory" in reason


async def test_the_runner_reaches_the_tier_of_a_process_where_any_plan_holds(tmp_path: Path) -> None:
    async with ConfinedRunner(data=tmp_path / "data") as runner:
        reached = runner.get_isolation_tier()
        with probe.make_attack_targets(tmp_path / "data", Path(tempfile.gettempdir())) as targets:
            reasons = [await probe.find_plan_weakness(plan, targets, tmp_path) for plan in PLANS[:1]]
        assert reached.level == {True: 4, False: 3 if PLANS[0].user else 2}[PLANS[0].own_namespaces] or any(reasons)
        assert list((tmp_path / "data").iterdir()) == []


def test_the_list_of_calls_is_a_well_formed_filter() -> None:
    code = seccomp.make_seccomp_filter(writable=True, own_pid=1)
    assert len(code) < 4096
    for at, (kind, yes, no, _) in enumerate(code):
        if kind in {0x15, 0x35}:
            assert max(yes, no) + at + 1 < len(code)
    assert code[-1][0] == 0x06
