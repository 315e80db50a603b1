"""The guarded web, brought in with its libraries at the first fetch: most servers never need it, and start sooner without."""

from collections.abc import Mapping

from nexus.domain.ports.web import Fetched, Web


class DeferredWeb:
    """As `GuardedWeb`."""

    def __init__(self) -> None:
        self._web: Web | None = None

    async def fetch_url(
        self, url: str, *, headers: Mapping[str, str] = {}, seconds: float = 30.0, most: int = 1_000_000
    ) -> Fetched:
        if self._web is None:
            from nexus.adapters.web.guarded import GuardedWeb

            self._web = GuardedWeb()
        return await self._web.fetch_url(url, headers=headers, seconds=seconds, most=most)
