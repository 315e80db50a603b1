"""Imports that cost a start as little as they can."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hide_modules_from_import(*absent: str) -> Iterator[None]:
    """What is imported inside finds none of these packages, and is not stopped to look for garbage."""
    hidden = [name for name in absent if name not in sys.modules]
    gc.disable()
    for name in hidden:
        sys.modules[name] = None  # type: ignore[assignment]  # what the language takes for "not installed"
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.enable()
