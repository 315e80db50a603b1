from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest

from tests.journeys.server import Server
from tests.journeys.user import User


class ServedApp(NamedTuple):
    """A nexus that serves, and somebody who uses it."""

    server: Server
    user: User
    data: Path

    def project_folder(self, project_id: str) -> Path:
        return self.data / "projects" / project_id


class Opens(Protocol):
    def __call__(self, data: Path, *, token: str = "", **settings: str) -> AbstractContextManager[ServedApp]: ...


@contextmanager
def opened(data: Path, *, token: str = "", **settings: str) -> Iterator[ServedApp]:
    """nexus on a data directory, killed at the end unless the journey ended it."""
    with Server(data, **settings) as server:
        user = User(server.ready(), token=token)
        try:
            yield ServedApp(server, user, data)
        except Exception as error:
            error.add_note("The server said:\n" + "".join(server.said[-40:]))
            raise
        finally:
            user.close()


@pytest.fixture
def opens() -> Opens:
    """Starts nexus where it is asked to."""
    return opened


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServedApp]:
    """One nexus with default settings in a fresh directory, for the journeys that do it no harm."""
    with opened(tmp_path_factory.mktemp("app") / "data") as app:
        yield app
        assert app.server.stop() == 0
