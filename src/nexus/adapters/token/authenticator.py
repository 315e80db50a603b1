"""The one credential of a server: the token in its settings."""

import hmac

from nexus.domain.core.errors import Unauthenticated
from nexus.domain.core.principal import LOCAL_OWNER, Principal


class TokenAuthenticator:
    """Who shows the token is the local owner; without a token, everybody is."""

    def __init__(self, token: str | None) -> None:
        self._expected = None if token is None else token.encode()

    @property
    def is_anonymous_allowed(self) -> bool:
        return self._expected is None

    async def authenticate(self, credential: str | None) -> Principal:
        if self._expected is not None and not hmac.compare_digest(
            (credential or "").encode(errors="replace"), self._expected
        ):
            raise Unauthenticated("Show the token of this server.")
        return LOCAL_OWNER
