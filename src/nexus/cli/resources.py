"""`nexus init-resources`: what servers on DynamoDB need to find there. They never make it themselves."""

import asyncio
import sys
from contextlib import AsyncExitStack
from typing import Any

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.providers.choice import read_settings
from nexus.settings import Settings


def init_resources(asked: Asked) -> int:
    wanted = asked.arguments
    settings = read_settings(
        asked.settings_environ,
        tables__backend="dynamodb",
        tables__endpoint_url=wanted.endpoint_url,
        events__backend="sqlite",
    )
    if wanted.clean and not wanted.yes:
        _confirm_deletion(settings)
    return asyncio.run(_run_on_client(asked, settings))


def _confirm_deletion(settings: Settings) -> None:
    if not sys.stdin.isatty():
        raise Ended(USAGE, "--clean deletes tables with all their rows: say so with --yes.")
    place = settings.tables.endpoint_url or f"DynamoDB in {settings.tables.region}"
    answer = input(f"Delete the tables {settings.tables.prefix}… at {place} with all rows? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise Ended(FAILED, "Nothing was deleted.")


async def _run_on_client(asked: Asked, settings: Settings) -> int:
    from nexus.composition.adapters import open_dynamodb

    async with AsyncExitStack() as stack:
        client = await open_dynamodb(settings, stack)
        if asked.arguments.list:
            return await _list_resources(asked, client, settings.tables.prefix)
        if asked.arguments.clean:
            await _delete_resources(asked, client, settings.tables.prefix)
        return await _create_resources(asked, client, settings.tables.prefix)


async def _list_resources(asked: Asked, client: Any, prefix: str) -> int:
    from nexus.adapters.dynamodb.provision import find_missing_parts
    from nexus.composition.tables import TABLES

    missing = await find_missing_parts(client, TABLES, prefix=prefix)
    there = [name for table in TABLES if (name := prefix + table.name) not in missing]
    if asked.output.json:
        asked.output.write_json_document({"there": there, "missing": missing})
    else:
        for name in there:
            asked.output.write_check_result("ok", name)
        for name in missing:
            asked.output.write_check_result("fail", f"{name} is missing")
    return FAILED if missing else OK


async def _delete_resources(asked: Asked, client: Any, prefix: str) -> None:
    from nexus.adapters.dynamodb.provision import delete_tables
    from nexus.composition.tables import TABLES

    for name in await delete_tables(client, TABLES, prefix=prefix):
        asked.output.write_note(f"deleted {name}")


async def _create_resources(asked: Asked, client: Any, prefix: str) -> int:
    from nexus.adapters.dynamodb.provision import create_missing_tables, protect_tables
    from nexus.composition.tables import TABLES

    made = await create_missing_tables(client, TABLES, prefix=prefix)
    unknown = await protect_tables(client, TABLES, prefix=prefix)
    if asked.output.json:
        asked.output.write_json_document({"made": made, "unknown": unknown})
        return OK
    for name in made:
        asked.output.write_line(f"made {name}")
    for what in unknown:
        asked.output.write_note(f"This store does not know {what}")
    asked.output.write_line(f"All {len(TABLES)} tables are there.")
    return OK
