"""How things are counted and refused in what users read."""

import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import check_message_text, format_plural_count


def test_one_thing_is_counted_in_the_singular() -> None:
    assert [format_plural_count(number, "case") for number in (0, 1, 2)] == ["0 cases", "1 case", "2 cases"]


@pytest.mark.parametrize(
    "text",
    ["", " ", "\n\t", "\u3000", "\u200b\ufeff", "\u00a0\u2003", "\x00", "\u2800", "\u3164\u115f", "\ufe0f", "\u202e"],
)
def test_what_cannot_be_seen_is_no_message(text: str) -> None:
    with pytest.raises(InvalidInput, match="blanks alone"):
        check_message_text(text)


@pytest.mark.parametrize("text", ["?", "你", " a ", "👍", "\u0301", "\U0001faea", "\ue000", "👍\ufe0f"])
def test_a_single_sign_is_a_message(text: str) -> None:
    check_message_text(text)
