"""Nothing reads a whole table but the walks of `Tables`, and nobody calls those for a request."""

import ast
from collections.abc import Iterator

import pytest

from tests.architecture.sources import Offence, Source, functions, listed, sources

WALK = "src/nexus/domain/ports/database.py: _make_walk_query"
SCAN = "src/nexus/adapters/dynamodb/tables.py: DynamoTables.query_rows"
VALUE_SCAN = "src/nexus/adapters/dynamodb/spilling.py: iterate_spilled_digests"
"""What `nexus delete-unused-values` runs."""
PROMOTION = "src/nexus/domain/migrations/promotions.py"
WALKERS = {
    "src/nexus/domain/tallies/shards.py: move_unsharded_tallies",
    f"{PROMOTION}: Promotion._copy_table",
    f"{PROMOTION}: has_rows",
    f"{PROMOTION}: summarize_table",
}
"""Who reads all rows of a table: migrations, and promotions to another store."""
LIBRARIES = {"os", "ast"}


def find_scans(source: Source) -> Iterator[Offence]:
    """A query of no partition, the operation of DynamoDB of that name, and calls of `walk`, each with the function it is in."""
    for name, function in functions(source.tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Call):
                yield from (Offence(f"{source.path}: {name}", what) for what in _describe_scans(node))
            elif isinstance(node, ast.Constant) and node.value == "scan":
                yield Offence(f"{source.path}: {name}", "scan")


def _describe_scans(call: ast.Call) -> Iterator[str]:
    name = ast.unparse(call.func)
    partition = call.args[2:3] or [one.value for one in call.keywords if one.arg == "partition"]
    if name == "Query" and any(isinstance(one, ast.Constant) and one.value is None for one in partition):
        yield "Query of no partition"
    if (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in ("walk", "walk_items")
        and name.split(".")[0] not in LIBRARIES
    ):
        yield "walk"


def test_nothing_reads_a_whole_table_but_a_walk() -> None:
    allowed = {WALK: "Query of no partition", SCAN: "scan", VALUE_SCAN: "scan"} | dict.fromkeys(WALKERS, "walk")
    found = {offence for source in sources("src") for offence in find_scans(source)}
    assert not (unknown := {one for one in found if allowed.get(one.place) != one.told}), f"\n{listed(unknown)}"
    assert {one.place for one in found} == set(allowed), "what is allowed is there"


@pytest.mark.parametrize(
    "text",
    [
        "def f(): return Query(table, None, None, window)",
        "def f(): return Query(table, index=None, partition=None, window=window)",
        "async def f(): return await self._tables.walk(JOBS)",
        "async def f(): return await send('scan')",
    ],
)
def test_a_scan_is_found(text: str) -> None:
    assert list(find_scans(Source("src/nexus/a.py", text)))


@pytest.mark.parametrize("text", ["def f(): return os.walk(root)", "def f(): return Query(table, None, 'x', window)"])
def test_what_is_no_scan_is_not(text: str) -> None:
    assert not list(find_scans(Source("src/nexus/a.py", text)))
