"""What a scripted model says through a build."""

import msgspec

from nexus.domain.builds.outputs import (
    Architecture,
    Brief,
    Case,
    Design,
    Duty,
    Parameter,
    PlannedAgent,
    PlannedTool,
    PromptText,
    Requirement,
    Requirements,
    WrittenTool,
)
from nexus.domain.ports.models import ToolCall
from tests.fakes.models import ScriptedModel, Turn, turn

BRIEF = Brief(intent="new", name="Doubler", slug="doubler", language="en", category="math", summary="Doubles numbers.")
REQUIREMENTS = Requirements(
    functional=[
        Requirement(
            id="FR-1", title="Double", statement="Doubles a number.", acceptance=["2 gives 4"], keywords=["double"]
        )
    ]
)
DOUBLE = PlannedTool(name="double_it", purpose="Doubles a number.", parameters=[Parameter(name="number", type="float")])
AGENT = PlannedAgent(
    slug="doubler",
    name="Doubler",
    purpose="Doubles numbers.",
    new_tools=[DOUBLE],
    duties=[Duty(requirement="FR-1", tools=["double_it"])],
)
ARCHITECTURE = Architecture(overview="One agent.", agents=[AGENT])
CASE = Case(name="doubles_two", input="double 2", calls=["double_it"], contains=["4"], requirements=["FR-1"])
DESIGN = Design(role="Doubles numbers.", capabilities=["doubling"], cases=[CASE])
WRITTEN = WrittenTool(
    name="double_it",
    code='def double_it(number: float) -> float:\n    """Doubles a number.\n\n    Args:\n        number: What to double.\n    """\n    return number * 2\n',
    test_code="from tools.double_it import double_it\n\n\ndef test_two():\n    assert double_it(2) == 4\n",
)
PROMPT = PromptText(prompt="You double numbers with the tool double_it, and say the result in one sentence.")


def said(value: object) -> Turn:
    return turn(msgspec.json.encode(value).decode())


def doubling(call: int = 1) -> list[Turn]:
    """The two turns of a reply: the tool call, then the words."""
    return [turn(ToolCall(f"c{call}", "double_it", '{"number": 2}')), turn("That ", "is 4.")]


def script(*, builds: int = 1, **other: list[Turn]) -> ScriptedModel:
    """A model that builds the doubler so many times; `other` replaces what it says for a stage or a reply."""
    turns: dict[str, list[Turn]] = {
        "build.intake": [said(BRIEF)],
        "build.requirements": [said(REQUIREMENTS)],
        "build.architecture": [said(ARCHITECTURE)],
        "build.design": [said(DESIGN)],
        "build.tools": [said(WRITTEN)],
        "build.prompt": [said(PROMPT)],
        "reply": [*doubling(1), *doubling(2)],
    }
    turns |= {("reply" if name == "reply" else f"build.{name}"): said_then for name, said_then in other.items()}
    return ScriptedModel(by_purpose={purpose: said * builds for purpose, said in turns.items()})
