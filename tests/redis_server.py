"""A real redis-server for the tests."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.peers.servers import PeerServer, build_redis_command, find_command


class RedisServer(PeerServer):
    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@contextmanager
def run_redis() -> Iterator[RedisServer]:
    server = RedisServer(find_command(build_redis_command))
    server.start()
    try:
        yield server
    finally:
        server.kill()
