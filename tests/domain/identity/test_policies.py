"""Who may see and do what."""

from typing import Any

import pytest
from msgspec import Struct

from nexus.domain.core.errors import PermissionDenied
from nexus.domain.core.principal import Principal
from nexus.domain.identity.policies import can_view, check_scope, is_owner

ANN, BEN, EVE = Principal("t1", "ann"), Principal("t1", "ben"), Principal("t2", "ann")


class Thing(Struct, frozen=True):
    visibility: Any
    tenant_id: str = "t1"
    user_id: str = "ann"


@pytest.mark.parametrize(
    ("visibility", "seen_by"), [("private", [ANN]), ("tenant", [ANN, BEN]), ("public", [ANN, BEN, EVE])]
)
def test_a_thing_is_seen_by_those_it_is_shared_with(visibility: str, seen_by: list[Principal]) -> None:
    thing = Thing(visibility)
    assert [one for one in (ANN, BEN, EVE) if can_view(one, thing)] == seen_by
    assert [one for one in (ANN, BEN, EVE) if is_owner(one, thing)] == [ANN]


def test_a_scope_that_a_credential_lacks_is_refused_by_name() -> None:
    reader = Principal("t1", "ann", scopes=frozenset(("read",)))
    check_scope(reader, "read")
    with pytest.raises(PermissionDenied, match="may not write"):
        check_scope(reader, "write")
