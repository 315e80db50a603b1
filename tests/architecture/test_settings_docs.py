"""What the environment may say, what docs/settings.md says about it, and what .env.example offers are one list."""

import re
from pathlib import Path

from nexus.settings import Secret, Variable, list_env_variables

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs/settings.md"
EXAMPLE = ROOT / ".env.example"


def shown(default: object) -> str:
    if isinstance(default, Secret):
        return ""
    return f"{default:g}" if isinstance(default, float) else str(default)


def row(variable: Variable) -> str:
    values = f" One of {', '.join(f'`{choice}`' for choice in variable.choices)}." if variable.choices else ""
    default = f"`{shown(variable.default)}`" if shown(variable.default) else "–"
    return f"| `{variable.name}` | {default} | {variable.doc}{values} |"


def offer(variable: Variable) -> str:
    return f"# {variable.doc}\n# {variable.name}={shown(variable.default)}\n"


def test_the_table_in_the_docs_is_exactly_what_can_be_set() -> None:
    expected = [row(variable) for variable in list_env_variables()]
    found = re.findall(r"^\| `NEXUS_.*$", DOCS.read_text(), re.MULTILINE)
    assert found == expected, "docs/settings.md should have these rows:\n" + "\n".join(expected)


def test_the_example_offers_exactly_what_can_be_set() -> None:
    expected = [offer(variable) for variable in list_env_variables()]
    found = [block + "\n" for block in EXAMPLE.read_text().rstrip("\n").split("\n\n")[1:]]
    assert found == expected, ".env.example should have these blocks:\n\n" + "\n".join(expected)


def test_the_example_sets_nothing_by_itself() -> None:
    assert all(not line or line.startswith("#") for line in EXAMPLE.read_text().splitlines())


def test_everything_that_can_be_set_is_explained_in_a_sentence() -> None:
    assert all(variable.doc.endswith(".") for variable in list_env_variables())
