"""Stage `tools`: a missing tool from a template, or from the formula that its purpose spells out."""

from nexus.adapters.offline.writing import write_formula, write_template
from nexus.domain.builds.outputs import ToolInput, WrittenTool
from nexus.domain.core.errors import InvalidInput


def tool(given: ToolInput) -> WrittenTool:
    """The same answer whatever failed: templates are tested, there is no better one."""
    wanted = given.tool
    if written := write_template(wanted.name) or write_formula(wanted):
        return written
    told = f"The offline model has no template for {wanted.name}; it needs a language model: `nexus models use PROVIDER/NAME`."
    raise InvalidInput(told)
