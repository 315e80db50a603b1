"""Who shows a credential."""

from typing import Protocol

from nexus.domain.core.principal import Principal


class Authenticator(Protocol):
    """A directory of credentials."""

    @property
    def is_anonymous_allowed(self) -> bool:
        """Whether those are somebody, too, who show no credential."""
        ...

    async def authenticate(self, credential: str | None) -> Principal:
        """Whose a credential is. Unauthenticated for an unknown one, and for None (none was shown) unless `is_open`."""
        ...
