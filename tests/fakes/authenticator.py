"""A directory of credentials, for tests with several callers."""

from collections.abc import Mapping

from nexus.domain.core.errors import Unauthenticated
from nexus.domain.core.principal import Principal


class KnownCredentials:
    is_anonymous_allowed = False

    def __init__(self, known: Mapping[str, Principal]) -> None:
        self._known = known

    async def authenticate(self, credential: str | None) -> Principal:
        if (found := self._known.get(credential or "")) is None:
            raise Unauthenticated
        return found
