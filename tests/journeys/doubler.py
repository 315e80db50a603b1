"""What the scripted provider says to build one small agent, and to let it speak."""

import msgspec

from tests.domain.builds import scripts
from tests.journeys.user import Json

REQUIREMENT = "An agent that doubles numbers"
STAGES = (
    "intake", "requirements", "architecture", "design", "tools", "prompt", "assembly", "verification", "deployment",
)  # fmt: skip
CALL = {"say": {"calls": [{"name": "double_it", "arguments": {"number": 2}}]}}
WORDS = {"say": {"pieces": ["That ", "is ", "4."], "delay": 0.01}}
REHEARSALS = [CALL, WORDS, CALL, WORDS]
"""What the agent says while it is verified, and once more when it is deployed."""

OUTPUTS = {
    "intake": scripts.BRIEF,
    "requirements": scripts.REQUIREMENTS,
    "architecture": scripts.ARCHITECTURE,
    "design": scripts.DESIGN,
    "tools": scripts.WRITTEN,
    "prompt": scripts.PROMPT,
}


def said(*, chat: list[object] | None = None, **stages: list[object]) -> Json:
    """The script of a whole build; `chat` is said after it, and a stage may say something else."""
    answers = {stage: [msgspec.to_builtins(output)] for stage, output in OUTPUTS.items()} | stages
    return {
        "answers": {f"build_{stage}": given for stage, given in answers.items()},
        "chat": [*REHEARSALS, *(chat or [])],
    }


def output(stage: str) -> Json:
    answer: Json = msgspec.to_builtins(OUTPUTS[stage])
    return answer


def held(answer: object = "never heard") -> Json:
    """An answer that does not come before the test is over."""
    return {"say": {"text": answer if isinstance(answer, str) else "", "first_byte": 300}}


def held_at(stage: str) -> Json:
    """The script of a build that stays in a stage: its model call is answered only when it is made again."""
    if stage in OUTPUTS:
        return said(**{stage: [held(), output(stage)]})
    rehearsed = 0 if stage == "verification" else 2
    script = said()
    script["chat"] = [*REHEARSALS[:rehearsed], held(), *REHEARSALS[rehearsed:]]
    return script
