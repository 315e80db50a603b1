"""Signs of life that a test gives by hand."""

from collections.abc import Awaitable, Callable


class MemoryPulse:
    """Holds, and beats when it is told to."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}

    def hold(self, key: str, fence: int) -> None:
        self.held[key] = fence

    def drop(self, key: str) -> None:
        self.held.pop(key, None)

    async def beat(self, beat: Callable[[str, int], Awaitable[bool]]) -> None:
        """One round."""
        for key, fence in list(self.held.items()):
            if not await beat(key, fence):
                self.drop(key)
