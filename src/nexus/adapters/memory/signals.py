"""Signals inside one process: none is lost."""

from collections.abc import Callable


class MemorySignals:
    def __init__(self) -> None:
        self._listeners: dict[str, dict[object, Callable[[int], None]]] = {}

    def notify_listeners(self, key: str, position: int = 0) -> None:
        if listeners := self._listeners.get(key):
            for wake in tuple(listeners.values()):
                wake(position)

    def add_listener(self, key: str, wake: Callable[[int], None]) -> Callable[[], None]:
        mark, listeners = object(), self._listeners.setdefault(key, {})
        listeners[mark] = wake

        def stop() -> None:
            listeners.pop(mark, None)
            if not listeners and self._listeners.get(key) is listeners:
                del self._listeners[key]

        return stop
