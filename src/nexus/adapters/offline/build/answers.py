"""The stages of a build by their purpose: typed input in, JSON of the typed output out."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from nexus.adapters.offline.build.documents import architecture, design, prompt, requirements, tool
from nexus.adapters.offline.build.intake import intake
from nexus.domain.builds.outputs import (
    ArchitectureInput,
    DesignInput,
    IntakeInput,
    PromptInput,
    RequirementsInput,
    ToolInput,
)
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import ModelRequest

I = TypeVar("I", bound=Struct)  # noqa: E741 - the type of a stage's input
_Stage = Callable[[bytes], Struct]


def _stage(kind: type[I], answer: Callable[[I], Struct]) -> _Stage:
    return lambda text: answer(msgspec.json.decode(text, type=kind))


_STAGES: dict[str, _Stage] = {
    "build.intake": _stage(IntakeInput, intake),
    "build.requirements": _stage(RequirementsInput, requirements),
    "build.architecture": _stage(ArchitectureInput, architecture),
    "build.design": _stage(DesignInput, design),
    "build.tools": _stage(ToolInput, tool),
    "build.prompt": _stage(PromptInput, prompt),
}


def build_answer(request: ModelRequest) -> str:
    """The JSON of the stage's output. InvalidInput for a stage without rules, or without an input that can be read."""
    stage = _STAGES.get(request.purpose)
    if stage is None:
        raise InvalidInput(f"The offline model has no rules for {request.purpose}.")
    problem: Any = "there is no user message"
    for message in reversed(request.messages):
        if message.role == "user":
            try:
                return msgspec.json.encode(stage(message.content.encode())).decode()
            except (msgspec.DecodeError, UnicodeEncodeError) as error:
                problem = error
    raise InvalidInput(f"The input of {request.purpose} cannot be read: {problem}")
