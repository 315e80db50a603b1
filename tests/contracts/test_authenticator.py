"""What an `Authenticator` promises."""

import pytest

from nexus.adapters.token.authenticator import TokenAuthenticator
from nexus.domain.core.errors import Unauthenticated
from nexus.domain.core.principal import LOCAL_OWNER
from nexus.domain.ports.authenticator import Authenticator
from tests.fakes.authenticator import KnownCredentials

KNOWN = "秘密 token"
CLOSED = [TokenAuthenticator(KNOWN), KnownCredentials({KNOWN: LOCAL_OWNER})]


@pytest.mark.parametrize("authenticator", CLOSED)
async def test_who_shows_a_known_credential_is_its_principal(authenticator: Authenticator) -> None:
    assert not authenticator.is_anonymous_allowed
    assert await authenticator.authenticate(KNOWN) == LOCAL_OWNER


@pytest.mark.parametrize("authenticator", CLOSED)
@pytest.mark.parametrize("shown", [None, "", KNOWN[:-1], KNOWN + " ", "\ud800"])
async def test_nobody_else_is_anybody(authenticator: Authenticator, shown: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await authenticator.authenticate(shown)


async def test_where_no_token_is_set_everybody_is_the_local_owner() -> None:
    authenticator = TokenAuthenticator(None)
    assert authenticator.is_anonymous_allowed
    for shown in (None, "", "anything"):
        assert await authenticator.authenticate(shown) == LOCAL_OWNER
