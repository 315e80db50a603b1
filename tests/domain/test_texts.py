"""How things are counted and refused in what users read."""

import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import check_message_text, check_name, format_plural_count


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


@pytest.mark.parametrize("name", [" ", "\u3000", "\u200b", "a\nb", "a\x1b[31m", "a\u2028b", "\x7f"])
def test_what_is_no_visible_line_is_no_name(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_name(name, "/project_name")
    assert [error["pointer"] for error in refused.value.facts["errors"]] == ["/project_name"]


@pytest.mark.parametrize("name", ["a", " 税务 助手 ", "👩\u200d🚀", "\u202bעברית"])
def test_a_line_that_can_be_seen_is_a_name(name: str) -> None:
    check_name(name, "/project_name")
