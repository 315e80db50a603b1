"""Stage `tools`: a missing tool from a template, or from the formula that its purpose spells out."""

from nexus.adapters.offline.templates.formula import written_formula
from nexus.adapters.offline.templates.registry import TEMPLATES, template_for
from nexus.adapters.offline.templates.template import written
from nexus.domain.builds.outputs import ToolInput, WrittenTool
from nexus.domain.core.errors import InvalidInput


def tool(given: ToolInput) -> WrittenTool:
    """The same answer whatever failed: templates are tested, there is no better one."""
    wanted = given.tool
    template = TEMPLATES.get(wanted.name)
    if template:
        return written(template, wanted.name)
    formula = written_formula(wanted)
    if formula:
        return formula
    template = template_for(f"{wanted.name.replace('_', ' ')} {wanted.purpose}")
    if template is None:
        raise InvalidInput(
            f"The offline model has no template for {wanted.name}; it needs a language model. Set NEXUS_MODEL__API_KEY."
        )
    return written(template, wanted.name)
