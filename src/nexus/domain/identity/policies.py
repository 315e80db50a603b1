"""Who may see and do what: every rule about it stands here. Storage keeps tenants apart beneath it (`Table.owner`)."""

from typing import Literal, Protocol

from nexus.domain.core.errors import PermissionDenied
from nexus.domain.core.principal import Principal, Scope


class Owned(Protocol):
    """What belongs to a user of a tenant."""

    @property
    def tenant_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...


class Shared(Owned, Protocol):
    """What its owner may share: with nobody, with the tenant, with everybody."""

    @property
    def visibility(self) -> Literal["private", "tenant", "public"]: ...


def is_owner(caller: Principal, thing: Owned) -> bool:
    return (thing.tenant_id, thing.user_id) == (caller.tenant_id, caller.user_id)


def can_view(caller: Principal, thing: Shared) -> bool:
    match thing.visibility:
        case "public":
            return True
        case "tenant":
            return thing.tenant_id == caller.tenant_id
        case "private":
            return is_owner(caller, thing)


def check_scope(caller: Principal, scope: Scope) -> None:
    """PermissionDenied for a caller whose credential does not reach so far."""
    if scope not in caller.scopes:
        raise PermissionDenied(f"This credential may not {scope}.")
