"""The stages of a build by their purpose: typed input in, JSON of the typed output out."""

from collections.abc import Callable
from inspect import get_annotations
from typing import Any

import msgspec

from nexus.adapters.offline.build.documents import (
    write_agent_design,
    write_architecture,
    write_requirements,
    write_system_prompt,
    write_tool_code,
)
from nexus.adapters.offline.build.intake import write_build_brief
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import ModelRequest

_STAGES: dict[str, Callable[[Any], Any]] = {
    "build.intake": write_build_brief,
    "build.requirements": write_requirements,
    "build.architecture": write_architecture,
    "build.design": write_agent_design,
    "build.tools": write_tool_code,
    "build.prompt": write_system_prompt,
}


def make_build_stage_output(request: ModelRequest) -> str:
    """The JSON of the stage's output. InvalidInput for a stage without rules, or without an input that can be read."""
    if (answer := _STAGES.get(request.purpose)) is None:
        raise InvalidInput(f"The offline model has no rules for {request.purpose}.")
    said = next((message.content for message in request.messages if message.role == "user"), "")
    try:
        given = msgspec.json.decode(said.encode(), type=get_annotations(answer)["given"])
        return msgspec.json.encode(answer(given)).decode()
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise InvalidInput(f"The input of {request.purpose} cannot be read: {error}") from None
