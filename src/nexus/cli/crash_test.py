"""`nexus doctor --chaos`: kills a server of its own in the middle of a build and of a reply, and watches what becomes of them."""

import asyncio
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import aclosing, suppress

from nexus.cli.exits import FAILED, Ended
from nexus.cli.sandbox import Sandbox, describe_sandbox, open_crash_test_sandbox
from nexus.cli.servers import READY_SECONDS, SERVE, start_server_process, wait_until_server_ready
from nexus.client import Client, Event, Unreachable
from nexus.doctor import Finding
from nexus.settings import Settings

REQUIREMENT = "An agent that converts kilometres to miles, and miles to kilometres."
QUESTION = "How many miles are 42 kilometres?"
DIES_AFTER = 3
END_SECONDS = 120.0
IN_A_REPLY = "after:reply.delta@3"

Note = Callable[[str], None]


class _Server:
    """Servers on one directory and one port, one after the other."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox, self._port = sandbox, _find_free_port()
        self._child: asyncio.subprocess.Process | None = None
        self.url = f"http://127.0.0.1:{self._port}"

    async def start(self, failpoint: str = "") -> None:
        """Returns once it takes work."""
        options = ("--host", "127.0.0.1", "--port", str(self._port), "--data-dir", str(self._sandbox.data))
        environ = {**self._sandbox.environ, "NEXUS_CHAOS__FAILPOINT": failpoint}
        self._child = await start_server_process((*SERVE, *options), environ)
        async with Client(self.url) as client:
            if not await wait_until_server_ready(self._child, client):
                raise Ended(FAILED, "The server did not start.")

    async def kill(self) -> None:
        """As the system does it when memory runs out: at once, without a word."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.kill()
            await self.wait_for_exit()

    async def wait_for_exit(self) -> None:
        assert self._child is not None
        async with asyncio.timeout(READY_SECONDS):
            await self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()


async def run_crash_test(note: Note, settings: Settings, environ: Mapping[str, str]) -> list[Finding]:
    """A crash in a build, then one in a reply; nothing of it stays on the machine."""
    found: list[Finding] = []
    try:
        with open_crash_test_sandbox(settings, environ) as sandbox:
            server = _Server(sandbox)
            try:
                found.append(Finding(name="what is tested", state="ok", detail=describe_sandbox(settings, environ)))
                note("A server of its own is started in a throw-away directory …")
                await server.start()
                found.append(
                    Finding(name="a crash in a build", state="ok", detail=await _test_build_crash(server, note))
                )
                found.append(
                    Finding(name="a crash in a reply", state="ok", detail=await _test_reply_crash(server, note))
                )
            finally:
                await server.kill()
    except (Ended, TimeoutError, Unreachable) as wrong:
        reason = str(wrong) or "It took too long."
    except OSError as wrong:
        reason = f"{settings.data_dir}: {wrong.strerror or wrong}"
    else:
        return found
    return [*found, Finding(name="crash test", state="fail", detail=reason)]


async def _test_build_crash(server: _Server, note: Note) -> str:
    async with Client(server.url) as client:
        started = await client.create_project(REQUIREMENT)
        position, before = await _wait_for_completed_stages(client, started.project_id)
        note(f"Killed (-9) after {len(before)} stages of a build.")
        await server.kill()
    began = time.monotonic()
    await server.start()
    async with Client(server.url) as client, asyncio.timeout(END_SECONDS):
        first, events = 0.0, list[Event]()
        async for event in client.stream_build_events(started.project_id, after=position):
            first = first or time.monotonic() - began
            events.append(event)
        after = [str(event.data["stage"]) for event in events if event.tag == "stage.completed"]
        begun = Counter(str(event.data["stage"]) for event in events if event.tag == "stage.started")
        project = await client.project(started.project_id)
        commits = Counter(commit.key for commit in await client.list_project_commits(started.project_id))
    if project.status != "completed":
        raise Ended(FAILED, f"The build that was killed is {project.status}: {project.error_info}")
    if twice := sorted({*before} & {*after} | {key for key, count in commits.items() if count > 1}):
        raise Ended(FAILED, f"Done twice after the kill: {', '.join(twice)}")
    again = [stage for stage in begun if stage not in before][:1]
    return (
        f"killed after {len(before)} of {len(before) + len(after)} stages; went on {first:.1f} s after the restart and was completed; "
        f"begun again: {', '.join(again) or 'nothing'}; completed twice: none"
    )


async def _wait_for_completed_stages(client: Client, project_id: str) -> tuple[int, list[str]]:
    """The position and the completed stages, when enough of them are done and another one has begun."""
    done = list[str]()
    async with asyncio.timeout(END_SECONDS), aclosing(client.stream_build_events(project_id)) as events:
        async for event in events:
            if event.tag == "stage.completed":
                done.append(str(event.data["stage"]))
            elif event.tag == "stage.started" and len(done) >= DIES_AFTER:
                return event.position, done
    raise Ended(FAILED, f"The build was over after {len(done)} stages, before it could be killed.")


async def _test_reply_crash(server: _Server, note: Note) -> str:
    await server.kill()
    await server.start(IN_A_REPLY)
    async with Client(server.url) as client:
        agent = (await client.list_agents().fetch_page()).items[0]
        session = await client.open_session(agent.agent_id)
        reply = await client.send(session.session_id, QUESTION)
        await server.wait_for_exit()
    note("Killed while it wrote a reply.")
    began = time.monotonic()
    await server.start()
    async with Client(server.url) as client, asyncio.timeout(END_SECONDS):
        tags, text = list[str](), ""
        async for event in client.stream_reply_events(session.session_id, reply.reply_id):
            tags.append(event.tag)
            text = "" if event.tag == "reply.reset" else text + str(event.data.get("text", ""))
        took = time.monotonic() - began
        kept = [message async for message in client.list_messages(session.session_id) if message.role == "assistant"]
    if not tags or tags[-1] != "reply.completed":
        raise Ended(FAILED, f"The reply that was killed ended with {tags[-1:] or 'nothing'}.")
    if [message.content for message in kept] != [text]:
        raise Ended(FAILED, f"The reply was told as {text!r} and is kept as {[message.content for message in kept]}.")
    return (
        f"killed at its third piece; begun anew and completed {took:.1f} s after the restart; kept once, as it was told"
    )


def _find_free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port
