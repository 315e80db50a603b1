"""What every ModelCatalog promises: the configured model by the name `default`, and refusals that say what there is."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from nexus.adapters.memory.models import MemoryCatalog
from nexus.adapters.openai.catalog import OpenAICatalog
from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.adapters.prometheus.models import MeteredCatalog
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import DEFAULT, ModelCatalog
from tests.fakes.models import ScriptedModel


@pytest.fixture(params=["memory", "metered", "openai"])
async def catalog(request: pytest.FixtureRequest) -> AsyncIterator[ModelCatalog]:
    if request.param != "openai":
        catalog = MemoryCatalog(ScriptedModel(name="main"), ScriptedModel(name="other"))
        yield catalog if request.param == "memory" else MeteredCatalog(catalog, ProcessMetrics("0"))
        return
    async with aiohttp.ClientSession() as session:
        yield OpenAICatalog(session=session, base_url="http://127.0.0.1:1/v1", api_key="k", name="main", idle=1.0)


async def test_the_configured_model_is_the_default_and_has_its_own_name(catalog: ModelCatalog) -> None:
    assert catalog.get_model(DEFAULT).name == "main"
    assert catalog.get_model("main") is catalog.get_model(DEFAULT)


async def test_another_model_is_found_by_its_name_and_is_the_same_each_time(catalog: ModelCatalog) -> None:
    assert catalog.get_model("other").name == "other"
    assert catalog.get_model("other") is catalog.get_model("other")


@pytest.mark.parametrize("name", ["", " ", "a\nb", "n" * 400])
async def test_what_is_no_name_is_refused(catalog: ModelCatalog, name: str) -> None:
    with pytest.raises(InvalidInput):
        catalog.get_model(name)


def test_a_catalog_of_given_models_says_which_ones_there_are() -> None:
    with pytest.raises(InvalidInput, match="default, main"):
        MemoryCatalog(ScriptedModel(name="main")).get_model("gpt-5")
