"""Whatever keeps the rows, a process opens on it, works, and closes; and knows whether the store is its own."""

from pathlib import Path
from uuid import uuid4

import pytest

from nexus.adapters.dynamodb.provision import create_missing_tables
from nexus.adapters.dynamodb.tables import DynamoTables, open_dynamodb_client
from nexus.composition.process import open_process
from nexus.composition.stores import make_migrations
from nexus.composition.tables import TABLES
from nexus.domain.core.errors import Conflict
from nexus.domain.core.pages import Window
from nexus.settings import Settings, parse_environment
from tests.contracts.conftest import DYNOXIDE, find_dynamodb_url


@pytest.fixture(params=["sqlite", DYNOXIDE])
async def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    backend = "sqlite" if request.param == "sqlite" else "dynamodb"
    found = {"NEXUS_DATA_DIR": str(tmp_path / "data"), "NEXUS_TABLES__BACKEND": backend}
    if backend == "dynamodb":
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "nobody")
        found |= {
            "NEXUS_TABLES__ENDPOINT_URL": find_dynamodb_url(request),
            "NEXUS_TABLES__PREFIX": f"t{uuid4().hex[:8]}_",
        }
    read = parse_environment(found)
    if backend == "dynamodb":
        async with open_dynamodb_client(region=read.tables.region, endpoint_url=read.tables.endpoint_url) as client:
            await create_missing_tables(client, TABLES, prefix=read.tables.prefix)
            await make_migrations(DynamoTables(client, prefix=read.tables.prefix)).record_new_store()
    return read


async def test_a_process_works_on_every_backend_and_finds_its_rows_again(settings: Settings) -> None:
    for _ in range(2):
        async with open_process(settings) as process:
            assert (await process.describe_health())["database"] == {"connected": True}
            page = await process.services.tools.list_tools(Window(limit=100))
            assert page.items


async def test_only_who_holds_the_store_itself_takes_others_for_dead(settings: Settings) -> None:
    async with open_process(settings) as process:
        assert process.adapters.is_sole is (settings.tables.backend == "sqlite")
        with pytest.raises(Conflict, match="already works in"):
            async with open_process(settings):
                pass
