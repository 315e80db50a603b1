"""All skills. A new one for a library tool: an entry in a file beside this one; for a written tool, a template has its own."""

from collections.abc import Mapping

from nexus.adapters.offline.skills import calculate, dates, extraction, invoices, loans, tables, text, units
from nexus.adapters.offline.skills.skill import Skill
from nexus.adapters.offline.templates.registry import TEMPLATES
from nexus.adapters.offline.templates.template import skill_of

LIBRARY_SKILLS: Mapping[str, Skill] = {
    skill.tool: skill
    for family in (units, loans, invoices, calculate, dates, text, tables, extraction)
    for skill in family.SKILLS
}
SKILLS: Mapping[str, Skill] = {**{name: skill_of(template) for name, template in TEMPLATES.items()}, **LIBRARY_SKILLS}
"""By the name of the tool."""
