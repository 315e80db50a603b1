"""`make bench`: nexus beside the bare relay and its peers, in one run on one machine in front of one model."""

import argparse
import asyncio
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import uvloop
from msgspec import Struct

from bench import load, report, systems
from bench.systems import System


class Sizes(Struct, frozen=True):
    """How much is asked; `rounds` of everything that is measured again and again, all systems in turn. 0: not measured."""

    rounds: int = 5
    starts: int = 3
    streams: int = 50
    tokens: int = 2000
    alone: int = 40
    paced_streams: int = 200
    paced_tokens: int = 100
    gets: int = 1000
    idle: int = 5000
    chats: int = 500


QUICK = Sizes(
    rounds=1, starts=1, streams=3, tokens=20, alone=3, paced_streams=3, paced_tokens=3, gets=5, idle=5, chats=3
)
GAP_MS = 20
"""Between two tokens of a paced stream: 50 in a second."""
IDLE_SECONDS = 10.0


class Bench:
    """One run: the figures are kept by measure, then by system."""

    def __init__(self, sizes: Sizes, data: Path, log: Callable[[str], None]) -> None:
        self._sizes, self._data, self._log = sizes, data, log
        self.figures: dict[str, dict[str, list[float]]] = {}

    def _keep(self, measure: str, system: str, *values: float) -> None:
        self.figures.setdefault(measure, {}).setdefault(system, []).extend(values)

    async def run(self, kinds: Sequence[type[System]]) -> None:
        with _running(systems.model()) as model:
            await model.answers()
            self._model = model
            self._url = f"http://127.0.0.1:{model.port}/v1"
            ready = [system for kind in kinds if (system := await self._prepared(kind(self._data)))]
            for system in ready:
                await self._starts(system)
            await self._served(ready)
            for system in ready:
                await self._idling(system)

    async def _prepared(self, system: System) -> System | None:
        """Where it cannot be measured, that is said, and the others go on."""
        missing = system.missing()
        try:
            if not missing:
                await system.prepare()
                with _running(system.start(self._url)) as process:
                    await process.answers()
                    await self._stream(system, 5, 0, 1)
                return system
        except (RuntimeError, OSError, TimeoutError) as error:
            missing = str(error) or type(error).__name__
        self._log(f"left out: {system.name} ({missing})")
        return None

    async def _starts(self, system: System) -> None:
        if self._sizes.starts:
            self._log(f"{system.name}: start and idle memory")
        for _ in range(self._sizes.starts):
            with _running(system.start(self._url)) as process:
                self._keep("start, s", system.name, await process.answers())
                await asyncio.sleep(0.5)
                self._keep("idle memory, MB", system.name, load.memory_mb(process.pid))

    async def _served(self, ready: Sequence[System]) -> None:
        """All of them run side by side, and are asked in turn: what the machine does besides meets all alike."""
        processes = [system.start(self._url) for system in ready]
        try:
            for process in processes:
                await process.answers()
            for number in range(self._sizes.rounds + 1):
                self._log(f"round {number} of {self._sizes.rounds}" if number else "warming up")
                kept = {name: dict(values) for name, values in self.figures.items()} if not number else None
                for system in ready:
                    await self._round(system)
                if kept is not None:
                    self.figures = kept
        finally:
            for process in processes:
                process.stop()

    async def _round(self, system: System) -> None:
        sizes, name = self._sizes, system.name
        tokens = max(5, int(sizes.tokens * system.share))
        flood = await self._stream(system, tokens, 0, sizes.streams)
        self._keep("flood: CPU per token, µs", name, flood.cpu_per_token)
        self._keep("flood: tokens/s", name, flood.rate)
        short = await self._stream(system, 1, 0, sizes.streams)
        self._keep("CPU per request, ms", name, short.cpu / sizes.streams * 1000)
        paced = await self._stream(system, sizes.paced_tokens, GAP_MS, sizes.paced_streams)
        self._keep("paced: CPU per token, µs", name, paced.cpu_per_token)
        self._keep("paced: first token, ms", name, median(paced.firsts) * 1000)
        planned = sizes.paced_tokens * GAP_MS / 1000
        self._keep("paced: time over plan", name, paced.wall / planned)
        if sizes.alone:
            await self._first_token(system)
        if request := system.reading():
            cpu, wait = await load.gets(system.process.address, request, count=sizes.gets, pid=system.process.pid)
            self._keep("GET: CPU, µs", name, cpu)
            self._keep("GET: answered after, µs", name, wait)

    async def _first_token(self, system: System) -> None:
        """Streams one after the other, each beside one that goes straight to the model."""
        own, direct = list[float](), list[float]()
        said = b'{"stream":true,"messages":[{"role":"user","content":"stream 2 0ms"}]}'
        straight = systems.posted(self._model.address, "/v1/chat/completions", said)
        for _ in range(self._sizes.alone):
            direct += (await load.streamed(self._model.address, [straight], tokens=2, pid=None)).firsts
            own += (await self._stream(system, 2, 0, 1)).firsts
        self._keep("first token over direct, ms", system.name, (median(own) - median(direct)) * 1000)

    async def _stream(self, system: System, tokens: int, gap: int, count: int) -> load.Run:
        requests = await system.asking(f"stream {tokens} {gap}ms", count)
        process = system.process
        return await load.streamed(process.address, requests, tokens=tokens, pid=process.pid)

    async def _idling(self, system: System) -> None:
        if self._sizes.chats:
            self._log(f"{system.name}: silent chats")
            with _running(system.start(self._url)) as process:
                await process.answers()
                await self._stream(system, 5, 0, 20)
                chats = await system.asking("stream 1 0ms silent", self._sizes.chats)
                await self._held("silent chat", system, chats, seconds=0.5)
        if self._sizes.idle and isinstance(system, systems.Nexus):
            self._log(f"{system.name}: idle followers")
            with _running(system.start(self._url)) as process:
                await process.answers()
                await self._stream(system, 5, 0, 20)
                followers = await system.following(self._sizes.idle)
                await self._held(f"{len(followers)} idle followers", system, followers, seconds=IDLE_SECONDS)

    async def _held(self, what: str, system: System, requests: Sequence[bytes], *, seconds: float) -> None:
        process = system.process
        before = load.memory_mb(process.pid)
        try:
            readers = await load.held(process.address, requests)
        except (TimeoutError, RuntimeError, asyncio.CancelledError) as error:
            self._log(f"{system.name}: {what} were not held open ({error or type(error).__name__})")
            return
        cpu, began = load.cpu_seconds(process.pid), time.perf_counter()
        await asyncio.sleep(seconds)
        used = (load.cpu_seconds(process.pid) - cpu) / (time.perf_counter() - began)
        grown = load.memory_mb(process.pid) - before
        load.let_go(readers)
        self._keep(f"{what}: KB each", system.name, grown * 1024 / len(requests))
        if system.name == systems.Nexus.name and "followers" in what:
            self._keep(f"{what}: MB over base", system.name, grown)
            self._keep(f"{what}: % of a core", system.name, used * 100)


@contextmanager
def _running(process: systems.Process) -> Iterator[systems.Process]:
    try:
        yield process
    finally:
        process.stop()


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.processor(),
    )
    return (
        f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write bench/results.md and bench/results.json")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: whether it runs, not how fast")
    parser.add_argument("--rounds", type=int, help="rounds of what is measured again and again (default: 5)")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="only systems whose names contain one of these")
    parser.add_argument("--against", type=Path, metavar="DIR", help="beside nexus of another commit, in this checkout")
    given = parser.parse_args()
    sizes = QUICK if given.quick else Sizes(rounds=given.rounds) if given.rounds else Sizes()
    kinds = [
        kind
        for kind in systems.SYSTEMS
        if not given.only or any(part.lower() in kind.name.lower() for part in given.only)
    ]
    if given.against:
        kinds.append(systems.nexus_of(given.against.resolve()))
    if len(systems.CORES) > 1:
        os.sched_setaffinity(0, {systems.CLIENT_CORE})
    with tempfile.TemporaryDirectory(prefix="nexus-bench-") as data:
        bench = Bench(sizes, Path(data), lambda line: print(line, flush=True))
        uvloop.run(bench.run(kinds))
    text = report.table(bench.figures, [kind.name for kind in kinds], _machine())
    if given.quick:
        text = f"Tiny sizes (`--quick`): whether it runs, not how fast.\n\n{text}"
    print(text)
    if given.write:
        report.write(Path(__file__).parent, text, bench.figures, _machine())


if __name__ == "__main__":
    main()
