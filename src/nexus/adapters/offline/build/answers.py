"""The stages of a build by their purpose: typed input in, JSON of the typed output out."""

from typing import Any

import msgspec

from nexus.adapters.offline.build.documents import architecture, design, prompt, requirements, tool
from nexus.adapters.offline.build.intake import intake
from nexus.domain.builds import outputs
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import ModelRequest

_STAGES: dict[str, tuple[type[Any], Any]] = {
    "build.intake": (outputs.IntakeInput, intake),
    "build.requirements": (outputs.RequirementsInput, requirements),
    "build.architecture": (outputs.ArchitectureInput, architecture),
    "build.design": (outputs.DesignInput, design),
    "build.tools": (outputs.ToolInput, tool),
    "build.prompt": (outputs.PromptInput, prompt),
}


def build_answer(request: ModelRequest) -> str:
    """The JSON of the stage's output. InvalidInput for a stage without rules, or without an input that can be read."""
    if request.purpose not in _STAGES:
        raise InvalidInput(f"The offline model has no rules for {request.purpose}.")
    kind, answer = _STAGES[request.purpose]
    problem: Any = "there is no user message"
    for message in reversed(request.messages):
        if message.role == "user":
            try:
                return msgspec.json.encode(answer(msgspec.json.decode(message.content.encode(), type=kind))).decode()
            except (msgspec.DecodeError, UnicodeEncodeError) as error:
                problem = error
    raise InvalidInput(f"The input of {request.purpose} cannot be read: {problem}")
