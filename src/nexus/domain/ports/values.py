"""Values that are too large for a row of some stores, and are kept beside it."""

from typing import Protocol


class DamagedValue(Exception):
    """A value to which a row refers is not there, or is not what was kept. Asking again does not help: it has to be restored from a copy."""


class ValueStore(Protocol):
    """Contents by what they are: equal ones are kept once."""

    async def keep_value(self, content: bytes) -> str:
        """Its SHA-256 in hex. It is on the disk when this answers, and stays there until no row has referred to it for some time."""
        ...

    async def read_value(self, digest: str) -> bytes:
        """As it was kept. DamagedValue, which is logged."""
        ...
