"""An agent package alone: no server, no store, only the folder and a model."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct

from nexus.adapters.confined.environment import hide_environment
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.adapters.memory.tables import MemoryTables
from nexus.adapters.web.deferred import DeferredWeb
from nexus.composition.adapters import open_model
from nexus.domain.agents import package
from nexus.domain.agents.package import Package
from nexus.domain.core.instants import system_clock
from nexus.domain.models.service import Models
from nexus.domain.ports.code import CodeRunner
from nexus.domain.ports.database import Tables
from nexus.domain.runtime.model import AgentSpec
from nexus.domain.runtime.service import Runtime
from nexus.domain.tools.service import Tools
from nexus.settings import Settings


class OpenAgent(Struct, frozen=True, kw_only=True):
    """An agent that can answer. `model`: what answers, in words."""

    package: Package
    spec: AgentSpec
    runtime: Runtime
    code: CodeRunner
    model: str


@asynccontextmanager
async def open_agent(directory: Path, settings: Settings) -> AsyncIterator[OpenAgent]:
    """The agent package in a folder, alone: no server, no store. InvalidInput for what is missing or malformed in it."""
    hide_environment()
    async with AsyncExitStack() as stack:
        packages = {found.manifest.agent.slug: found for found in _packages(directory)}
        code = await stack.enter_async_context(ConfinedRunner(data=settings.directory, min_tier=settings.code.min_tier))
        tables = Tables(MemoryTables(), secret=b"alone", clock=system_clock)
        tools = Tools(tables=tables, web=DeferredWeb(), clock=system_clock)
        models = Models(model=await open_model(settings, stack), clock=system_clock, sleep=asyncio.sleep)
        slug = next(iter(packages))
        others = {other: found for other, found in packages.items() if other != slug}
        spec = await package.spec(packages[slug], agent_id=slug, describe=code.describe, others=others)
        runtime = Runtime(models=models, tools=tools, code=code)
        yield OpenAgent(package=packages[slug], spec=spec, runtime=runtime, code=code, model=models.name)


def _packages(directory: Path) -> Iterator[Package]:
    """The package in a folder, then those beside it, which it may ask."""
    own = directory.resolve()
    beside = sorted(path for path in own.parent.iterdir() if (path / package.MANIFEST).is_file() and path != own)
    for folder in (own, *beside):
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
        yield package.read(
            {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in paths}
        )
