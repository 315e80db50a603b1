"""All templates by the name of the tool that they write. A new one: a function and an entry in a file beside this one."""

import re
from collections.abc import Mapping

from nexus.adapters.offline.templates import (
    arithmetic,
    codes,
    colours,
    everyday,
    health,
    money,
    numerals,
    passwords,
    words,
)
from nexus.adapters.offline.templates.template import Template

TEMPLATES: Mapping[str, Template] = {
    template.name: template
    for family in (money, health, numerals, arithmetic, words, codes, colours, passwords, everyday)
    for template in family.TEMPLATES
}


def template_for(text: str) -> Template | None:
    """The template whose words stand first in a text."""
    found = [
        (match.start(), template)
        for template in TEMPLATES.values()
        if (match := re.search(template.topic.words, text, re.IGNORECASE))
    ]
    return min(found, key=lambda one: one[0])[1] if found else None
