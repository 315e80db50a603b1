"""The model server of the bench, as a process: what it says depends on the request alone, so a repeated question has the same answer.

A request belongs to the run whose mark (`run_17_x`) it carries. The ledger, which lies outside the system under test, has two lines for
each: `asked` before the answer begins, `told` once all of it is on its way. `python -m tests.chaos.model --script FILE --log FILE`."""

import argparse
import asyncio
import hashlib
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct

from nexus.domain.builds.outputs import Case, Duty, PlannedAgent
from tests.domain.builds.scripts import ARCHITECTURE, BRIEF, DESIGN, PROMPT, REQUIREMENTS, WRITTEN
from tests.openai_server import Call, OpenAIServer, Say

MARK = re.compile(r"run_(\d+)_x")
STAMP = re.compile(r"@(\d+\.\d{4})@")
"""Before a piece of an answer: when it was sent."""
SLUG = "doubler"


class Script(Struct, frozen=True, kw_only=True):
    """`latency` before each answer and `delay` between its pieces are seconds. A chat answer has `pieces` pieces
    and begins with `answer`; each piece is at least so many `letters` long. With `stamps` each tells when it was sent.

    `fails`: by topic, how many requests of a run are refused with 503 before one is answered (-1: all of them); `later`: the seconds
    after which such a one is asked to come again.
    `garbles`: topics answered with what is no JSON; `spoils`: by topic, how many answers to a run are. `kills`: by mark, the topic that has the server process shot that asks, as often as
    it asks; its pid is read from `lock`. `port` lets a server that was killed come again where it was. `only`: by mark, runs that have a
    script of their own."""

    latency: float = 0.02
    delay: float = 0.0
    pieces: int = 4
    answer: str = "That is 4."
    letters: int = 0
    stamps: bool = False
    fails: dict[str, int] = {}
    later: int = 0
    garbles: list[str] = []
    spoils: dict[str, int] = {}
    kills: dict[str, str] = {}
    only: dict[str, "Script"] = {}
    lock: str = ""
    port: int = 0


FORGES = 5
"""Every so many runs one writes a tool of its own, which is run behind walls; the others take one from the library."""

ANSWERS: dict[str, Any] = {
    "build_intake": BRIEF,
    "build_requirements": REQUIREMENTS,
    "build_architecture": ARCHITECTURE,
    "build_design": DESIGN,
    "build_tools": WRITTEN,
    "build_prompt": PROMPT,
}
_BOUGHT = PlannedAgent(
    slug=SLUG,
    name="Doubler",
    purpose="Doubles numbers.",
    library_tools=["calculate"],
    duties=[Duty(requirement="FR-1", tools=["calculate"])],
)
_CASE = Case(name="doubles_two", input="double 2", calls=["calculate"], contains=["4"], requirements=["FR-1"])
BOUGHT = {
    "build_architecture": msgspec.structs.replace(ARCHITECTURE, agents=[_BOUGHT]),
    "build_design": msgspec.structs.replace(DESIGN, cases=[_CASE]),
}


def forges(mark: str) -> bool:
    return mark.isdigit() and int(mark) % FORGES == 0


def plan(mark: str) -> dict[str, int]:
    """How often a build of this run that nothing disturbs puts each kind of question: its case is tried twice."""
    topics = [topic for topic in ANSWERS if forges(mark) or topic != "build_tools"]
    return dict.fromkeys(topics, 1) | {"chat": 2, "said": 2}


def marked(topic: str, mark: str) -> str:
    """The answer of a build's stage, with the mark of its run in the names that later questions hold."""
    answer = ANSWERS[topic] if forges(mark) else BOUGHT.get(topic, ANSWERS[topic])
    text = msgspec.json.encode(answer).decode().replace(f'"{SLUG}"', f'"{SLUG}_run_{mark}_x"')
    return text.replace("You double numbers", f"You are {SLUG}_run_{mark}_x: you double numbers")


class MarkedModel(OpenAIServer):
    def __init__(self, script: Script, ledger: Path | None, port: int) -> None:
        super().__init__(port=port, log=None)
        self._told, self._ledger = script, ledger
        self._failed: Counter[tuple[str, str]] = Counter()
        self._spoilt: Counter[tuple[str, str]] = Counter()

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        text = json.dumps(body, ensure_ascii=False)
        found = MARK.search(text)
        mark, topic = found[1] if found else "", self._topic(body)
        line = {"mark": mark, "topic": topic, "digest": hashlib.sha256(text.encode()).hexdigest()[:16]}
        await self._noted("asked", line)
        if self._told.kills.get(mark) == topic:
            _shoot(Path(self._told.lock))
        say = self._say(mark, topic)
        answer = await self._answered(request, body, say, f"chatcmpl-{line['digest']}")
        await self._noted("told", line)
        return answer

    def _topic(self, body: dict[str, Any]) -> str:
        topic = super()._topic(body)
        return "said" if topic == "chat" and body["messages"][-1].get("role") == "tool" else topic

    def _say(self, mark: str, topic: str) -> Say:
        told = self._told.only.get(mark, self._told)
        failing = told.fails.get(topic, 0)
        if failing < 0 or self._failed[mark, topic] < failing:
            self._failed[mark, topic] += 1
            return Say(status=503, retry_after=str(told.later), first_byte=told.latency)
        spoilt = self._spoilt[mark, topic] < told.spoils.get(topic, 0)
        self._spoilt[mark, topic] += spoilt
        if spoilt or topic in told.garbles:
            return Say(text="no document", first_byte=told.latency)
        if topic in ANSWERS:
            return Say(text=marked(topic, mark), first_byte=told.latency, cut=4096)
        if topic == "chat":
            call = (
                Call("double_it", {"number": 2}, "c1")
                if forges(mark)
                else Call("calculate", {"expression": "2 * 2"}, "c1")
            )
            return Say(calls=(call,), first_byte=told.latency, cut=4096)
        words = (told.answer, *(f" Word {n}.".ljust(told.letters, "x") for n in range(2, told.pieces + 1)))
        return Say(pieces=words, first_byte=told.latency, delay=told.delay)

    async def _answered(self, request: web.Request, body: dict[str, Any], say: Say, chat_id: str) -> web.StreamResponse:
        if not (self._told.stamps and say.pieces):
            return await super()._answered(request, body, say, chat_id)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        for piece in say.pieces:
            await answer.write(_chunk(chat_id, {"content": f"@{time.time():.4f}@{piece}"}, None))
            await asyncio.sleep(say.delay)
        await answer.write(_chunk(chat_id, {}, "stop") + b"data: [DONE]\n\n")
        await answer.write_eof()
        return answer

    async def _noted(self, what: str, line: dict[str, str]) -> None:
        if self._ledger is not None:
            text = json.dumps({"what": what, "at": time.time(), **line})
            async with self._writing:
                await asyncio.to_thread(_append, self._ledger, text)


def _chunk(chat_id: str, delta: dict[str, str], finish: str | None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    chunk = {"id": chat_id, "object": "chat.completion.chunk", "created": 0, "model": "marked", "choices": [choice]}
    return b"data: " + msgspec.json.encode(chunk) + b"\n\n"


def _append(path: Path, line: str) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def _shoot(lock: Path) -> None:
    try:
        os.kill(int(lock.read_text().strip()), signal.SIGKILL)
    except (ProcessLookupError, ValueError, FileNotFoundError):
        return


async def _serve(script: Script, ledger: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(sys.stdin.fileno(), stop.set)
    async with MarkedModel(script, ledger, script.port) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await stop.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="The model server of the bench; ends with whoever started it.")
    parser.add_argument("--script", type=Path, required=True)
    parser.add_argument("--log", type=Path)
    given = parser.parse_args()
    asyncio.run(_serve(msgspec.json.decode(given.script.read_bytes(), type=Script), given.log))


if __name__ == "__main__":
    main()
