"""An agent package alone: no server, no store, only the folder and a model."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec import Struct

from nexus.adapters.confined.environment import erase_proc_environ
from nexus.adapters.memory.tables import MemoryTables
from nexus.composition.adapters import AgentAdapters, make_web_client, open_code_runner, open_model_catalog
from nexus.composition.services import make_runtime_services
from nexus.domain.agents import package
from nexus.domain.agents.package import Package
from nexus.domain.ports.code import CodeRunner
from nexus.domain.runtime.model import AgentSpec
from nexus.domain.runtime.service import Runtime
from nexus.settings import Settings


class OpenAgent(Struct, frozen=True, kw_only=True):
    """An agent that can answer. `model`: what answers, in words."""

    package: Package
    spec: AgentSpec
    runtime: Runtime
    code: CodeRunner
    model: str


@asynccontextmanager
async def open_standalone_agent(directory: Path, settings: Settings) -> AsyncIterator[OpenAgent]:
    """The agent package in a folder, alone: no server, no store. InvalidInput for what is missing or malformed in it."""
    erase_proc_environ()
    async with AsyncExitStack() as stack:
        packages = {found.manifest.agent.slug: found for found in _load_agent_packages(directory)}
        code = await open_code_runner(settings, stack)
        adapters = AgentAdapters(
            tables=MemoryTables(),
            models=await open_model_catalog(settings, stack),
            code=code,
            web=make_web_client(),
            secret=b"standalone",
        )
        slug = next(iter(packages))
        composed = make_runtime_services(adapters)
        spec = await composed.resolver.make_agent_spec(packages[slug], agent_id=slug, others=packages)
        model = composed.models.with_model(spec.model).name
        yield OpenAgent(package=packages[slug], spec=spec, runtime=composed.runtime, code=code, model=model)


def _load_agent_packages(directory: Path) -> Iterator[Package]:
    """The package in a folder, then those beside it, which it may ask."""
    own = directory.resolve()
    beside = sorted(path for path in own.parent.iterdir() if (path / package.MANIFEST).is_file() and path != own)
    for folder in (own, *beside):
        paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
        yield package.parse_package(
            {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in paths}
        )
