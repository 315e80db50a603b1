"""The tools that the offline model can write: from a template, or from a formula that the requirement spells out."""

from nexus.adapters.offline.templates.formula import formula_example, planned_formula, written_formula
from nexus.adapters.offline.templates.registry import TEMPLATES
from nexus.adapters.offline.templates.template import planned, written
from nexus.domain.builds.outputs import PlannedTool, WrittenTool

plan_formula, write_formula = planned_formula, written_formula
__all__ = ["formula_example", "plan_formula", "plan_template", "write_formula", "write_template"]


def plan_template(tool: str) -> PlannedTool:
    """The template of that name as the architecture plans it. KeyError for a name without a template."""
    return planned(TEMPLATES[tool])


def write_template(tool: str) -> WrittenTool | None:
    """The source and the tests of a template; None for a name without one."""
    return written(TEMPLATES[tool], tool) if tool in TEMPLATES else None
