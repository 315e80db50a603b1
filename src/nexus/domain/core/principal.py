"""Who asks."""

from typing import Literal

from msgspec import Struct

Scope = Literal["read", "write"]


class Principal(Struct, frozen=True):
    """The one on whose behalf a verb runs, as an `Authenticator` or a stored row names them, never a body. `kind`: a person, a program with
    a key of its own, or this system itself; `scopes`: what they may do with what is theirs."""

    tenant_id: str
    user_id: str
    user_name: str = ""
    kind: Literal["user", "program", "system"] = "user"
    scopes: frozenset[Scope] = frozenset(("read", "write"))


LOCAL_OWNER = Principal(tenant_id="tnt_local", user_id="usr_local", user_name="local owner")
"""Who everything belongs to while no accounts are configured."""
