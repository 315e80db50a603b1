"""`nexus delete-unused-values`: removes large values to which no row in DynamoDB has referred for some time. May be run while servers work."""

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, USAGE, Ended
from nexus.providers.choice import read_settings
from nexus.settings import Settings

if TYPE_CHECKING:
    from nexus.adapters.directory.values import SweptValues


def delete_unused_values(asked: Asked) -> int:
    settings = read_settings(asked.settings_environ)
    if settings.tables.backend != "dynamodb":
        raise Ended(USAGE, "SQLite keeps large values in their rows: there is nothing to delete.")
    swept = asyncio.run(_sweep_values(settings, asked.arguments.grace_hours * 3600))
    text = f"{swept.seen} values; {swept.set_aside} set aside, {swept.deleted} deleted."
    asked.output.write_result(swept, text)
    return OK


async def _sweep_values(settings: Settings, grace: float) -> "SweptValues":
    from nexus.composition.stores import sweep_unused_values

    async with AsyncExitStack() as stack:
        return await sweep_unused_values(settings, stack, grace=grace)
