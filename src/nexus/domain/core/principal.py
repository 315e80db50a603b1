"""Who asks."""

from msgspec import Struct


class Principal(Struct, frozen=True):
    """The one on whose behalf a verb runs. Comes from the token at the edge or from a stored row, never from a body."""

    tenant_id: str
    user_id: str
    user_name: str = ""


LOCAL_OWNER = Principal(tenant_id="tnt_local", user_id="usr_local", user_name="local owner")
"""Who everything belongs to while no accounts are configured."""
