"""What a stage function works with: the project, what earlier stages gave, the model, and a way to tell what it does."""

from collections.abc import Awaitable, Callable, Mapping
from importlib import resources
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from nexus.domain.agents.package import PackageResolver
from nexus.domain.agents.service import Agents
from nexus.domain.agents.slugs import Slugs
from nexus.domain.builds.model import StageFailed, UserCommands
from nexus.domain.core.errors import NexusError
from nexus.domain.models.model import Spent, Unparseable
from nexus.domain.models.service import Models
from nexus.domain.ports.code import CodeRunner
from nexus.domain.ports.models import ChatMessage, ModelDiscovery, ModelRequest
from nexus.domain.ports.repository import Repository
from nexus.domain.projects.model import Project
from nexus.domain.runtime.journal import Journal
from nexus.domain.runtime.model import AgentSpec, Answer
from nexus.domain.runtime.service import Runtime

T = TypeVar("T")


class StageServices(Struct, frozen=True, kw_only=True):
    """The services that stages draw on."""

    models: Models
    discovery: ModelDiscovery
    runtime: Runtime
    code: CodeRunner
    agents: Agents
    resolver: PackageResolver
    slugs: Slugs
    repository: Repository
    commands: UserCommands


class StageHooks(Struct, frozen=True, kw_only=True):
    """`step` is called before each model call, and raises where the build is to stop; `note` writes a line for people, `advance` how much
    of how much is done."""

    step: Callable[[], Awaitable[None]]
    note: Callable[[str], Awaitable[None]]
    advance: Callable[[int, int], Awaitable[None]]


class StageContext:
    """One attempt of one part of a stage. Counts what it spends."""

    def __init__(
        self,
        *,
        project: Project,
        request: Struct,
        stage: str,
        part: str,
        services: StageServices,
        outputs: Mapping[str, Any],
        journal: Journal,
        hooks: StageHooks,
    ) -> None:
        self.project, self.stage, self.part, self.services, self.journal = project, stage, part, services, journal
        self._request, self._outputs, self._step, self._begun, self._asked = request, outputs, hooks.step, 0, 0
        self.note, self.advance = hooks.note, hooks.advance
        self.spent, self.tool_calls = Spent(), 0

    def get_build_request(self, kind: type[T]) -> T:
        """What the build was begun with: the inputs of its workflow."""
        if not isinstance(self._request, kind):
            raise TypeError(
                f"{self.stage} asks for {kind.__name__}, but its workflow takes {type(self._request).__name__}"
            )
        return self._request

    async def ask_model(
        self, kind: type[T], question: Struct, *, check: Callable[[T], None] | None = None, prompt: str | None = None
    ) -> T:
        """The model's typed answer for this stage, or for another one's `prompt`. `check` raises ValueError for what does not hold:
        that is repaired as well."""
        await self._prepare_model_call()
        name = prompt or self.stage
        text = resources.files(__package__).joinpath(f"prompts/{name}.md").read_text(encoding="utf-8")
        asked = msgspec.json.encode(question).decode()
        request = ModelRequest(
            messages=(ChatMessage("system", text), ChatMessage("user", asked)), purpose=f"build.{name}"
        )
        answer = await self.journal.wrap_models_in_journal(self.services.models).ask_for_struct(
            kind, request, check=check
        )
        self._add_token_usage(answer.spent)
        if answer.repairs:
            await self.note(f"The model's answer was repaired {answer.repairs} time(s).")
        return answer.value

    async def ask_agent(self, spec: AgentSpec, said: str) -> Answer:
        """What an agent answers, counted to this stage."""
        await self._prepare_model_call()
        answer = await self.services.runtime.collect_answer(spec, [ChatMessage("user", said)], journal=self.journal)
        tokens = {"input_tokens": answer.input_tokens, "output_tokens": answer.output_tokens}
        self._add_token_usage(Spent(**tokens, unknown=answer.usage_unknown))
        self.tool_calls += len(answer.calls)
        return answer

    async def _prepare_model_call(self) -> None:
        await self._step()
        self._asked = self.journal.finished_step_count

    def mark_retry_point(self) -> None:
        """From here on it is about something else: when that fails, what came before is not to blame."""
        self._begun = self.journal.finished_step_count

    def get_first_step_to_redo(self, error: Exception) -> int:
        """The first step that a later try has to ask anew, after this error."""
        if isinstance(error, StageFailed):
            return self._begun
        blameless = isinstance(error, NexusError) and not isinstance(error, Unparseable)
        return self.journal.finished_step_count if blameless else self._asked

    def _add_token_usage(self, spent: Spent) -> None:
        self.spent = self.spent.add_usage(spent).add_usage(Spent(unknown=self.journal.unknown))

    def get_stage_output(self, kind: type[T], stage: str, part: str = "") -> T:
        """The output of an earlier stage, or of one part of it."""
        return msgspec.convert(self._outputs[stage][part], kind)
