"""What can be a requirement, and how long to wait after an attempt that failed. Pure."""

import unicodedata

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import is_cjk

SHORTEST, LONGEST = 10, 10_000
SHORTEST_REST, LONGEST_REST, LONGEST_TOLD = 2.0, 60.0, 600.0


def check_requirement(text: str) -> None:
    """Raises InvalidInput for what is too short (a CJK character counts two), too long, or has no words in it."""
    if len(text) > LONGEST:
        raise _refused(f"A requirement has at most {LONGEST} characters; this one has {len(text)}.")
    letters = [character for character in text if unicodedata.category(character)[0] in "LN"]
    if not letters:
        raise _refused("A requirement needs words: say what the agent is to do.")
    if sum(2 if is_cjk(character) else 1 for character in text.strip()) < SHORTEST:
        raise _refused(f"A requirement has at least {SHORTEST} characters: say what the agent is to do.")


def rest(failed: int, *, told: float | None, jitter: float) -> float:
    """Seconds before the next attempt after so many that failed, spread by `jitter` (0 to 1); never less than a provider asked for,
    up to ten minutes."""
    return _spread(2.0**failed, told=told, jitter=jitter)


def wait(waited: float, *, told: float | None, jitter: float) -> float:
    """Seconds before what is away is asked again, when it has been waited for so long: about as long once more."""
    return _spread(max(SHORTEST_REST, waited), told=told, jitter=jitter)


def _spread(seconds: float, *, told: float | None, jitter: float) -> float:
    grown = min(LONGEST_REST, seconds) * (0.5 + jitter / 2)
    return grown if told is None else max(grown, min(told, LONGEST_TOLD) + jitter)


def _refused(message: str) -> InvalidInput:
    return InvalidInput(message, errors=[{"pointer": "/requirement", "message": message}])
