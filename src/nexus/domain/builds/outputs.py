"""What the stages of a build give and take: the typed outputs, and the inputs that a model is shown as JSON.

A model is asked with `purpose="build.<stage>"`, a system prompt from `prompts/<stage>.md`, and one user message: the JSON of the
stage's `…Input`. Its answer is the JSON of the stage's output. Everything here is untrusted until it has been parsed."""

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import Meta, Struct, structs

from nexus.domain.ports.tools import Effect

Language = Literal["en", "zh"]
Slug = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{2,39}$")]
Name = Annotated[str, Meta(min_length=1, max_length=80)]
Line = Annotated[str, Meta(max_length=500)]
Text = Annotated[str, Meta(max_length=20_000)]


class BuildRequest(Struct, frozen=True):
    """What a build of `agent_build` is begun with."""

    requirement: str


class LibraryTool(Struct, frozen=True):
    """A tool that exists already, as shown to a model that has to choose."""

    name: str
    description: str
    category: str


class Brief(Struct, frozen=True, kw_only=True):
    """Stage `intake`. `problem` says why it is not `new`: `unclear` (no task in it, or an attempt to steer the builder), `change` (of an
    agent that exists), `needs_language_model` (a stand-in without language answers so when it can do nothing of what is asked)."""

    intent: Literal["new", "change", "unclear", "needs_language_model"]
    problem: Line | None = None
    name: Name
    slug: Slug
    language: Language
    category: Annotated[str, Meta(max_length=40)] = "general"
    summary: Line = ""
    assumptions: list[Line] = []


class RequirementsInput(Struct, frozen=True):
    requirement: str
    brief: Brief


class Requirement(Struct, frozen=True, kw_only=True):
    """One thing that must hold, e.g. `FR-1`, and how one sees that it does. `keywords`, of a functional one: words of its acceptance
    of which any user message that exercises it holds one (units, quantities, verbs, names)."""

    id: Annotated[str, Meta(pattern=r"^(FR|NFR)-[0-9]{1,3}$")]
    title: Name
    statement: Line
    acceptance: Annotated[list[Line], Meta(min_length=1, max_length=10)]
    keywords: Annotated[list[Name], Meta(max_length=20)] = []


class Requirements(Struct, frozen=True, kw_only=True):
    """Stage `requirements`."""

    functional: Annotated[list[Requirement], Meta(min_length=1, max_length=30)]
    nonfunctional: list[Requirement] = []
    out_of_scope: list[Line] = []


class ArchitectureInput(Struct, frozen=True):
    requirement: str
    brief: Brief
    requirements: Requirements
    library: list[LibraryTool]


class Parameter(Struct, frozen=True, kw_only=True):
    """A parameter of a planned tool. Types are those that JSON has."""

    name: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
    type: Literal["str", "int", "float", "bool", "list[str]", "list[float]"]
    description: Line = ""


class PlannedTool(Struct, frozen=True, kw_only=True):
    """A tool that the library lacks and stage `tools` is to write: a pure function of its parameters."""

    name: Slug
    purpose: Line
    parameters: list[Parameter] = []


class Duty(Struct, frozen=True, kw_only=True):
    """A functional requirement that an agent fulfils, and the tools of its own that do it; none where language alone does."""

    requirement: str
    tools: list[str] = []


class PlannedAgent(Struct, frozen=True, kw_only=True):
    """`calls` names the slugs of agents that it may ask; among the tools of its duties these are `ask_<slug>`."""

    slug: Slug
    name: Name
    purpose: Line
    library_tools: list[str] = []
    new_tools: Annotated[list[PlannedTool], Meta(max_length=8)] = []
    calls: list[Slug] = []
    duties: list[Duty] = []

    @property
    def tool_names(self) -> list[str]:
        """The names of all that it may call."""
        new = [tool.name for tool in self.new_tools]
        return [*self.library_tools, *new, *map(_make_ask_tool_name, self.calls)]

    def replace_slugs(self, slugs: Mapping[str, str]) -> "PlannedAgent":
        """With other slugs: its own, and those that it names."""
        tools = {_make_ask_tool_name(old): _make_ask_tool_name(new) for old, new in slugs.items() if old in self.calls}
        return structs.replace(
            self,
            slug=slugs[self.slug],
            calls=[slugs[slug] for slug in self.calls],
            duties=[
                structs.replace(duty, tools=[tools.get(tool, tool) for tool in duty.tools]) for duty in self.duties
            ],
        )


def _make_ask_tool_name(slug: str) -> str:
    """The name of the tool that asks another agent."""
    return f"ask_{slug}"


class Unmet(Struct, frozen=True, kw_only=True):
    """A requirement that this build will not fulfil, and plainly why."""

    requirement_id: str
    reason: Line


class Architecture(Struct, frozen=True, kw_only=True):
    """Stage `architecture`. The first agent is the one that users talk to."""

    overview: Text = ""
    agents: Annotated[list[PlannedAgent], Meta(min_length=1, max_length=5)]
    interfaces: list[Line] = []
    data: list[Line] = []
    unmet: list[Unmet] = []


class DesignInput(Struct, frozen=True):
    requirement: str
    brief: Brief
    requirements: Requirements
    agent: PlannedAgent
    unmet: list[Unmet]


class Case(Struct, frozen=True, kw_only=True):
    """A behaviour that must hold: what a user says, which tools must be called, what the reply must contain (any case), and the ids of
    the requirements that this exercises."""

    name: Slug
    input: Annotated[str, Meta(min_length=1, max_length=2000)]
    calls: list[str] = []
    contains: list[Line] = []
    requirements: list[str] = []


class Design(Struct, frozen=True, kw_only=True):
    """Stage `design`, per agent."""

    role: Line
    capabilities: list[Line]
    limits: list[Line] = []
    model_needs: Line = ""
    memory: Line = ""
    cases: Annotated[list[Case], Meta(min_length=1, max_length=20)]


class ToolInput(Struct, frozen=True):
    """For one missing tool; `failure` is what went wrong with `previous`."""

    brief: Brief
    agent: PlannedAgent
    tool: PlannedTool
    previous: "WrittenTool | None" = None
    failure: str | None = None


class WrittenTool(Struct, frozen=True, kw_only=True):
    """Stage `tools`, per missing tool. `code` defines a typed function of the tool's name with a docstring (Google style `Args:`),
    standard library only, result JSON-able; `test_code` has `test_*` functions that import it by `from tools.<name> import <name>`."""

    name: Slug
    code: Annotated[str, Meta(min_length=1, max_length=40_000)]
    test_code: Annotated[str, Meta(min_length=1, max_length=40_000)]
    effect: Effect = "pure"


class OfferedTool(Struct, frozen=True):
    name: str
    description: str


class PromptInput(Struct, frozen=True):
    """`failure` lists the behavioural cases that did not hold with `previous`."""

    requirement: str
    brief: Brief
    agent: PlannedAgent
    design: Design
    tools: list[OfferedTool]
    unmet: list[Unmet]
    previous: str | None = None
    failure: str | None = None


class PromptText(Struct, frozen=True):
    """Stage `prompt`, per agent: the system prompt in Markdown, in the language of the requirement."""

    prompt: Annotated[str, Meta(min_length=40, max_length=20_000)]
