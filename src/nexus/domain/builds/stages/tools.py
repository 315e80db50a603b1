"""Stage 5, for each agent: writes the tools that the library lacks, and tests them where they can harm nobody."""

from msgspec import Struct

from nexus.domain.builds.examination import TEST_LIMITS
from nexus.domain.builds.model import StageFailed
from nexus.domain.builds.outputs import Brief, PlannedAgent, PlannedTool, ToolInput, WrittenTool
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.stages.parts import find_planned_agent
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import format_plural_count
from nexus.domain.ports.code import Program, TestResult
from nexus.domain.ports.tools import Effect

REPAIRS = 3


class KeptTool(Struct, frozen=True, kw_only=True):
    """A tool that passed its tests."""

    name: str
    effect: Effect
    tests: list[str]
    repairs: int


class ToolSet(Struct, frozen=True, kw_only=True):
    """Stage `tools`, per agent: what the agent holds."""

    library: list[str]
    written: list[KeptTool] = []


async def run_tools_stage(context: StageContext) -> StageOutput:
    agent = find_planned_agent(context)
    files: dict[str, str] = {}
    written = list[KeptTool]()
    for number, planned in enumerate(agent.new_tools, 1):
        kept, sources = await _write_tool(context, agent, planned)
        written.append(kept)
        files |= sources
        await context.advance(number, len(agent.new_tools))
    made = ToolSet(library=agent.library_tools, written=written)
    placed = {f"agents/{agent.slug}/{path}": text for path, text in files.items()}
    return StageOutput(output=made, files=placed, summary=", ".join([*made.library, *(tool.name for tool in written)]))


async def _write_tool(
    context: StageContext, agent: PlannedAgent, planned: PlannedTool
) -> tuple[KeptTool, dict[str, str]]:
    """Asks for the tool until its own tests pass, at most three repairs."""
    context.mark_retry_point()
    brief, previous, failure = context.get_stage_output(Brief, "intake"), None, None
    for repairs in range(REPAIRS + 1):
        question = ToolInput(brief, agent, planned, previous, failure)
        tool = await context.ask_model(WrittenTool, question, check=lambda found: _check_tool_signature(found, planned))
        failure, tests = await _check_tool(context, tool)
        if failure is None:
            await context.note(f"{tool.name}: {format_plural_count(len(tests), 'test')} passed")
            return KeptTool(name=tool.name, effect=tool.effect, tests=tests, repairs=repairs), make_tool_source_files(
                tool
            )
        await context.note(f"{tool.name}: {failure.splitlines()[0][:200]}")
        previous = tool
    raise StageFailed(
        f"The tool {planned.name} did not pass its tests after {REPAIRS} repairs: {failure}", code="tool_failed"
    )


async def _check_tool(context: StageContext, tool: WrittenTool) -> tuple[str | None, list[str]]:
    """What is wrong with it, in words for its author; and the names of its tests."""
    try:
        await context.services.code.parse_tool_spec(tool.code, tool.name)
    except InvalidInput as error:
        return error.detail, []
    outcome, results = await context.services.code.run_tests(Program(make_tool_source_files(tool)), limits=TEST_LIMITS)
    failure = _describe_test_failure(outcome.error or outcome.status, outcome.status == "ok", results)
    return failure, [test.name for test in results]


def make_tool_source_files(tool: WrittenTool) -> dict[str, str]:
    """A written tool as files of its package."""
    return {f"tools/{tool.name}.py": tool.code, f"tests/test_{tool.name}.py": tool.test_code}


def _describe_test_failure(error: str, ran: bool, results: list[TestResult]) -> str | None:
    if not ran:
        return f"The tests did not run: {error}"
    if not results:
        return "There is no test_* function."
    failed = [f"{test.name}: {test.error}" for test in results if not test.passed]
    return "\n".join(failed) or None


def _check_tool_signature(tool: WrittenTool, planned: PlannedTool) -> None:
    if tool.name != planned.name:
        raise ValueError(f"the tool is to be named {planned.name}")
