"""What nests too deep is refused before it is stored: no row can be written that cannot be read."""

import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.rows import MOST_LEVELS, is_nested_deeper_than
from nexus.domain.sessions.model import Session
from nexus.domain.sessions.tables import SESSIONS


def nested(levels: int) -> list[object]:
    """So many lists in one another."""
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def session(levels: int) -> Session:
    now = "2026-01-01T00:00:00.000Z"
    return Session(
        session_id="ses_1", agent_id="agt_1", tenant_id="tnt_1", user_id="usr_1", metadata={"a": nested(levels)}, created_at=now, last_active_at=now,
    )  # fmt: skip


def test_a_row_nests_as_deep_as_every_store_can_hold() -> None:
    assert SESSIONS.encode_row(session(MOST_LEVELS - 2))["metadata"]


@pytest.mark.parametrize("levels", [MOST_LEVELS - 1, 100, 500, 960, 1_000, 100_000])
def test_a_row_that_nests_deeper_is_refused(levels: int) -> None:
    with pytest.raises(InvalidInput, match="nested so deep"):
        SESSIONS.encode_row(session(levels))


@pytest.mark.parametrize(
    ("value", "levels"), [("x", 0), ([], 1), ({}, 1), ([[]], 2), ({"a": [{}]}, 3), ([1, [2], {"a": {"b": []}}], 4)]
)
def test_levels_of_lists_and_objects_are_counted(value: object, levels: int) -> None:
    assert not is_nested_deeper_than(value, levels)
    assert levels == 0 or is_nested_deeper_than(value, levels - 1)
