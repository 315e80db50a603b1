"""`nexus init-resources`: what servers on DynamoDB and SQS need to find there. They never make it themselves."""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from importlib.util import find_spec
from typing import Any, Protocol

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.providers.choice import read_settings
from nexus.settings import Settings
from nexus.start import AWS_ADVICE


class Resources(Protocol):
    """What one store is to have."""

    kind: str
    names: Sequence[str]

    async def find_missing(self) -> Sequence[str]: ...

    async def create_missing(self) -> Sequence[str]:
        """The names of what was made."""
        ...

    async def delete_content(self) -> Sequence[str]:
        """What was done, by name."""
        ...

    async def find_unknown(self) -> Sequence[str]:
        """Switches on what protects the content, and says what of it the store does not know."""
        ...


class TableResources:
    kind = "tables"

    def __init__(self, client: Any, prefix: str) -> None:
        from nexus.composition.tables import TABLES

        self._client, self._prefix, self._tables = client, prefix, TABLES
        self.names: Sequence[str] = [prefix + table.name for table in TABLES]

    async def find_missing(self) -> Sequence[str]:
        from nexus.adapters.dynamodb.provision import find_missing_parts

        return await find_missing_parts(self._client, self._tables, prefix=self._prefix)

    async def create_missing(self) -> Sequence[str]:
        from nexus.adapters.dynamodb.provision import create_missing_tables
        from nexus.adapters.dynamodb.tables import DynamoTables
        from nexus.composition.stores import make_migrations

        made = await create_missing_tables(self._client, self._tables, prefix=self._prefix)
        if set(self.names) <= set(made):
            await make_migrations(DynamoTables(self._client, prefix=self._prefix)).record_new_store()
        return made

    async def delete_content(self) -> Sequence[str]:
        from nexus.adapters.dynamodb.provision import delete_tables

        return [f"deleted {name}" for name in await delete_tables(self._client, self._tables, prefix=self._prefix)]

    async def find_unknown(self) -> Sequence[str]:
        from nexus.adapters.dynamodb.provision import protect_tables

        return await protect_tables(self._client, self._tables, prefix=self._prefix)


class QueueResources:
    kind = "queues"

    def __init__(self, client: Any, prefix: str) -> None:
        from nexus.adapters.sqs.queues import list_queue_names, make_queue_set

        self._client, self._queues = client, make_queue_set(prefix)
        self.names: Sequence[str] = list_queue_names(self._queues)

    async def find_missing(self) -> Sequence[str]:
        from nexus.adapters.sqs.queues import find_missing_queues

        return await find_missing_queues(self._client, self._queues)

    async def create_missing(self) -> Sequence[str]:
        from nexus.adapters.sqs.queues import provision_queues

        return await provision_queues(self._client, self._queues)

    async def delete_content(self) -> Sequence[str]:
        from nexus.adapters.sqs.queues import delete_all_messages

        return [f"emptied {name}" for name in await delete_all_messages(self._client, self._queues)]

    async def find_unknown(self) -> Sequence[str]:
        return []


def init_resources(asked: Asked) -> int:
    wanted = asked.arguments
    settings = read_settings(
        asked.settings_environ,
        tables__backend="dynamodb",
        tables__endpoint_url=wanted.endpoint_url,
        queue__endpoint_url=wanted.endpoint_url,
        events__backend="sqlite",
    )
    if find_spec("aioboto3") is None:
        raise Ended(USAGE, AWS_ADVICE)
    if wanted.clean and not wanted.yes:
        _confirm_deletion(settings)
    return asyncio.run(_run_on_stores(asked, settings))


def _confirm_deletion(settings: Settings) -> None:
    if not sys.stdin.isatty():
        raise Ended(USAGE, "--clean deletes tables with all their rows, and all messages: say so with --yes.")
    place = settings.tables.endpoint_url or f"DynamoDB in {settings.tables.region}"
    answer = input(f"Delete the tables {settings.tables.prefix}… at {place} with all rows, and all messages? [y/N] ")
    if answer.strip().lower() not in ("y", "yes"):
        raise Ended(FAILED, "Nothing was deleted.")


async def _run_on_stores(asked: Asked, settings: Settings) -> int:
    async with AsyncExitStack() as stack:
        stores = await _open_stores(asked, settings, stack)
        if asked.arguments.list:
            return await _list_resources(asked, stores)
        if asked.arguments.clean:
            for done in [line for store in stores for line in await store.delete_content()]:
                asked.output.write_note(done)
        return await _create_resources(asked, stores)


async def _open_stores(asked: Asked, settings: Settings, stack: AsyncExitStack) -> Sequence[Resources]:
    """The tables; and the queues, where they are in SQS, or an address was given that is to stand for both."""
    from nexus.composition.backends import Backends, open_dynamodb
    from nexus.domain.core.errors import Unavailable

    tables = TableResources(await open_dynamodb(settings, stack), settings.tables.prefix)
    is_needed = settings.queue.backend == "sqs"
    if not is_needed and (not asked.arguments.endpoint_url or settings.queue.backend == "arq"):
        return [tables]
    queues = QueueResources(await Backends(settings, stack).open_sqs(), settings.queue.prefix)
    try:
        await queues.find_missing()
    except Unavailable as error:
        if is_needed:
            raise
        asked.output.write_note(f"Tables only: no SQS answers at {settings.queue.endpoint_url}. {error.detail}")
        return [tables]
    return [tables, queues]


async def _list_resources(asked: Asked, stores: Sequence[Resources]) -> int:
    missing = [name for store in stores for name in await store.find_missing()]
    there = [name for store in stores for name in store.names if name not in missing]
    if asked.output.json:
        asked.output.write_json_document({"there": there, "missing": missing})
    else:
        for name in there:
            asked.output.write_check_result("ok", name)
        for name in missing:
            asked.output.write_check_result("fail", f"{name} is missing")
    return FAILED if missing else OK


async def _create_resources(asked: Asked, stores: Sequence[Resources]) -> int:
    made = [name for store in stores for name in await store.create_missing()]
    unknown = [what for store in stores for what in await store.find_unknown()]
    if asked.output.json:
        asked.output.write_json_document({"made": made, "unknown": unknown})
        return OK
    for name in made:
        asked.output.write_line(f"made {name}")
    for what in unknown:
        asked.output.write_note(f"This store does not know {what}")
    for store in stores:
        asked.output.write_line(f"All {len(store.names)} {store.kind} are there.")
    return OK
