"""What the scripted provider says to build one small agent, and to let it speak."""

from collections.abc import Sequence

import msgspec

from tests.domain.builds import scripts
from tests.journeys.user import Json

REQUIREMENT = "An agent that doubles numbers"
STAGES = (
    "intake", "requirements", "architecture", "design", "tools", "prompt", "assembly", "verification", "deployment",
)  # fmt: skip
HOLDABLE = tuple(stage for stage in STAGES if stage != "assembly")
"""The stages that ask a model."""

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


def said(*, chat: Sequence[object] = (), **stages: Sequence[object]) -> Json:
    """The script of a whole build; `chat` is said after it, and a stage may say something else."""
    answers = {stage: [output(stage)] for stage in OUTPUTS} | stages
    return {
        "answers": {f"build_{stage}": given for stage, given in answers.items()},
        "chat": [*REHEARSALS, *chat],
    }


def output(stage: str) -> Json:
    answer: Json = msgspec.to_builtins(OUTPUTS[stage])
    return answer


HELD = {"say": {"text": "never heard", "first_byte": 300}}
"""An answer that does not come before the journey is over."""


def held_at(stage: str) -> Json:
    """The script of a build that stays in a stage: its model call is answered only when it is made again."""
    if stage in OUTPUTS:
        return said(chat=(), **{stage: [HELD, output(stage)]})
    rehearsed = 0 if stage == "verification" else 2
    return {**said(), "chat": [*REHEARSALS[:rehearsed], HELD, *REHEARSALS[rehearsed:]]}


def marked(text: str, mark: str) -> str:
    return f"{text} (marked {mark})"


def all_held() -> Json:
    """The script of many builds at once, each marked with the stage in which it stays. All that a model is asked bears the mark."""
    answers: Json = {}
    for stage in HOLDABLE:
        script = held_at(stage)
        for outputs, field in (("build_intake", "summary"), ("build_prompt", "prompt")):
            for answer in script["answers"][outputs]:
                if field in answer:
                    answer[field] = marked(answer[field], stage)
        answers |= {f"{topic}@{stage}": given for topic, given in script["answers"].items()}
        answers[f"chat@{stage}"] = script["chat"]
    return {"answers": answers}
