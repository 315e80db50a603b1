"""What can be a requirement, and how long to wait after an attempt that failed. Pure."""

import unicodedata

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import check_name, is_cjk
from nexus.domain.projects.starts import Opening

SHORTEST, LONGEST = 10, 10_000
SHORTEST_REST, LONGEST_REST, LONGEST_TOLD = 2.0, 60.0, 600.0


def check_requirement_text(text: str) -> None:
    """Raises InvalidInput for what is too short (a CJK character counts two), too long, or has no words in it."""
    if len(text) > LONGEST:
        raise _make_invalid_requirement_error(
            f"A requirement has at most {LONGEST} characters; this one has {len(text)}."
        )
    letters = [character for character in text if unicodedata.category(character)[0] in "LN"]
    if not letters:
        raise _make_invalid_requirement_error("A requirement needs words: say what the agent is to do.")
    if (counted := sum(2 if is_cjk(character) else 1 for character in text.strip())) < SHORTEST:
        raise _make_invalid_requirement_error(_explain_too_short(text.strip(), counted))


def check_project_labels(wanted: Opening) -> None:
    """InvalidInput for a name or a tag that cannot be shown on a line."""
    if wanted.name:
        check_name(wanted.name, "/project_name")
    if wanted.user_name:
        check_name(wanted.user_name, "/user_name")
    for at, tag in enumerate(wanted.tags):
        check_name(tag, f"/tags/{at}")


def _explain_too_short(text: str, counted: int) -> str:
    """How it was counted, and what would do: in Chinese where it is."""
    if any(map(is_cjk, text)):
        return (
            f"需求至少要有{SHORTEST}个字符，一个汉字算两个；这里只算{counted}个。"
            "请用一句话说明智能体要做什么，例如“根据身高和体重计算BMI”。"
        )
    return (
        f"A requirement has at least {SHORTEST} characters (a Chinese, Japanese or Korean one counts two); this one has {counted}. "
        "Say in a sentence what the agent is to do, for example “splits a bill with a tip between friends”."
    )


def compute_retry_delay(failed: int, *, told: float | None, jitter: float) -> float:
    """Seconds before the next attempt after so many that failed, spread by `jitter` (0 to 1); never less than a provider asked for,
    up to ten minutes."""
    return _add_jitter(2.0**failed, told=told, jitter=jitter)


def compute_outage_delay(waited: float, *, told: float | None, jitter: float) -> float:
    """Seconds before what is away is asked again, when it has been waited for so long: about as long once more."""
    return _add_jitter(max(SHORTEST_REST, waited), told=told, jitter=jitter)


def _add_jitter(seconds: float, *, told: float | None, jitter: float) -> float:
    grown = min(LONGEST_REST, seconds) * (0.5 + jitter / 2)
    return grown if told is None else max(grown, min(told, LONGEST_TOLD) + jitter)


def _make_invalid_requirement_error(message: str) -> InvalidInput:
    return InvalidInput(message, errors=[{"pointer": "/requirement", "message": message}])
