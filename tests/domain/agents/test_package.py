"""A package is read strictly, and every reference in it resolves."""

from collections.abc import Mapping

import pytest

from nexus.composition.services import make_runtime_services
from nexus.domain.agents import package
from nexus.domain.agents.package import PackageResolver
from nexus.domain.core.errors import InvalidInput
from tests.memory_app import make_adapters

MANIFEST = '[agent]\nslug = "vat"\nname = "VAT"\n'
TOOL = '[[tools]]\nref = "generated:tools/vat.py:vat"\n'
SOURCE = 'def vat(net: float) -> float:\n    """VAT.\n\n    Args:\n        net: Net.\n    """\n    return net\n'


@pytest.fixture
def resolver() -> PackageResolver:
    return make_runtime_services(make_adapters()).resolver


@pytest.mark.parametrize(
    ("files", "place"),
    [
        ({"agent.toml": None}, r"no agent\.toml"),
        ({"prompt.md": None}, r"no prompt\.md"),
        ({"agent.toml": "[agent\n"}, r"agent\.toml: .*line 1, column 7"),
        ({"agent.toml": MANIFEST + "colour = 1\n"}, r"agent\.toml: .*`colour`.*\$\.agent"),
        ({"agent.toml": '[agent]\nslug = "vat"\n'}, r"agent\.toml: .*`name`.*\$\.agent"),
        ({"agent.toml": MANIFEST + 'language = "fr"\n'}, r"agent\.toml: .*'fr'.*\$\.agent\.language"),
        ({"agent.toml": MANIFEST + '[[tools]]\nref = "library:nothing"\n'}, r"library:nothing: the library has no"),
        ({"agent.toml": MANIFEST + '[[tools]]\nref = "vat"\n'}, r"'vat' is no reference"),
        ({"agent.toml": MANIFEST + '[model]\nname = "gpt-9"\n'}, r"agent\.toml, \[model\]: .*'gpt-9' here; .*default"),
        ({"agent.toml": MANIFEST + '[[tools]]\nref = "agent:vat"\n'}, r"agent:vat: there is no such agent"),
        ({"agent.toml": MANIFEST + TOOL + TOOL}, r"Two tools are named vat"),
        ({"tools/vat.py": None}, r"generated:tools/vat\.py:vat: there is no such file"),
        ({"tools/vat.py": "x = 1\n"}, r"no function vat"),
        ({"tools/vat.py": "\ndef vat(:\n"}, r"vat cannot be read: .*line 2"),
    ],
)
async def test_a_malformed_package_is_refused_with_file_and_place(
    resolver: PackageResolver, files: Mapping[str, str | None], place: str
) -> None:
    whole = {"agent.toml": MANIFEST + TOOL, "prompt.md": "You say the VAT.", "tools/vat.py": SOURCE}
    fine = await resolver.make_agent_spec(package.parse_package(whole), agent_id="a")
    assert [tool.target for tool in fine.tools] == ["tools/vat.py:vat"]
    broken = {path: text for path, text in {**whole, **files}.items() if text is not None}
    with pytest.raises(InvalidInput, match=place):
        await resolver.make_agent_spec(package.parse_package(broken), agent_id="a")
