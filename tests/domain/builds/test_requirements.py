"""What can be a requirement, and what is said of what cannot."""

import pytest

from nexus.domain.builds.rules import check_requirement_text
from nexus.domain.core.errors import InvalidInput


@pytest.mark.parametrize("text", ["split a tip", "BMI计算助手", "计算体重指", "x" * 10_000])
def test_ten_characters_are_enough_and_a_chinese_one_counts_two(text: str) -> None:
    check_requirement_text(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tip split", ["at least 10 characters", "one counts two", "this one has 9", "for example “"]),
        ("BMI计算器", ["至少要有10个字符", "一个汉字算两个", "只算9个", "例如“"]),
        ("  tip   ", ["this one has 3"]),
        ("!!! ??? ...", ["needs words"]),
        ("x" * 10_001, ["at most 10000", "has 10001"]),
    ],
)
def test_what_is_no_requirement_is_refused_once_with_how_it_was_counted_and_an_example(
    text: str, says: list[str]
) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_requirement_text(text)
    assert [part for part in says if part not in refused.value.detail] == []
    assert refused.value.facts["errors"] == [{"pointer": "/requirement", "message": refused.value.detail}]
