"""What a stage leaves in its row, and where its output lies."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from nexus.domain.builds.outputs import Architecture, PlannedAgent
from nexus.domain.builds.work import Work
from nexus.domain.builds.workflow import Made, StageSpec
from nexus.domain.core.values import JSON
from nexus.domain.models.model import Spent
from nexus.domain.projects.model import Part, Stage, StageResult


def planned(outputs: Mapping[str, Any]) -> Sequence[PlannedAgent]:
    return msgspec.convert(outputs["architecture"][""], Architecture).agents


def output_path(stage: str) -> str:
    return f"stages/{stage}.json"


def part_of(agent: str, stage: Stage, work: Work, seconds: float) -> Part:
    return Part(
        agent=agent,
        status="completed",
        attempt=stage.attempt,
        duration_seconds=round(seconds, 3),
        input_tokens=work.spent.input_tokens,
        output_tokens=work.spent.output_tokens,
        usage_unknown=work.spent.unknown,
        tool_calls=work.tool_calls,
    )


def result_of(made: Mapping[str, Made], parts: list[Part], commit_id: str, spec: StageSpec) -> StageResult:
    summary = "; ".join(part.summary for part in made.values() if part.summary)[:500]
    files = sorted({path for part in made.values() for path in part.files})
    artifact = {"commit": commit_id, "path": output_path(spec.name)}
    data: JSON = {"summary": summary, "files": files, "artifact": artifact}
    spent = Spent()
    for part in parts:
        spent = spent.plus(
            Spent(input_tokens=part.input_tokens, output_tokens=part.output_tokens, unknown=part.usage_unknown)
        )
    return StageResult(
        output_data=data,
        input_tokens=spent.input_tokens,
        output_tokens=spent.output_tokens,
        usage_unknown=spent.unknown,
        tool_calls=sum(part.tool_calls for part in parts),
        parts=[part for part in parts if part.agent],
    )
