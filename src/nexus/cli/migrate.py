"""`nexus migrate`: changes the rows that an earlier release wrote. It may be run while servers work, by several at once, and again after it broke off."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec

from nexus.cli.asked import Asked
from nexus.cli.exits import OK, USAGE, Ended
from nexus.providers.choice import read_settings
from nexus.settings import Settings
from nexus.start import AWS_ADVICE


def migrate(asked: Asked) -> int:
    settings = read_settings(asked.settings_environ, data_dir=asked.arguments.data_dir)
    if settings.uses_aws and find_spec("aioboto3") is None:
        raise Ended(USAGE, AWS_ADVICE)
    applied = asyncio.run(_apply_migrations(settings))
    if asked.output.json:
        asked.output.write_json_document({"applied": applied})
        return OK
    for title in applied:
        asked.output.write_line(f"applied {title}")
    asked.output.write_line("The store is up to date.")
    return OK


async def _apply_migrations(settings: Settings) -> Sequence[str]:
    from nexus.adapters.structlog.logs import configure_logging
    from nexus.composition.stores import migrate_store

    configure_logging(settings.log.level, settings.log.format)
    async with AsyncExitStack() as stack:
        return await migrate_store(settings, stack)
