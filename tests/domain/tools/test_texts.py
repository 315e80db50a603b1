import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.domain.tools.library.texts import change_case, extract_keywords, summarize_by_statistics, text_statistics
from nexus.domain.tools.model import ToolError

ENGLISH = "Dr. Smith bought 3.5 apples. Apples are good for health! Do apples grow on trees? Yes.\n\nTrees need water."
CHINESE = "人工智能正在改变世界。人工智能技术的发展很快，人工智能应用越来越多！我们应该学习人工智能吗？天气很好。"


def test_texts_are_counted_in_both_languages() -> None:
    english, chinese = text_statistics(ENGLISH), text_statistics(CHINESE)
    assert (english["words"], english["sentences"], english["paragraphs"]) == (19, 5, 2)
    assert (chinese["words"], chinese["sentences"], chinese["characters"]) == (46, 4, 51)
    assert english["frequent_words"][0] == {"word": "apples", "count": 3}
    assert chinese["frequent_words"][0] == {"word": "人工智能", "count": 4}


def test_an_empty_text_has_nothing() -> None:
    assert text_statistics("")["words"] == 0
    assert extract_keywords("")["keywords"] == []


def test_a_summary_quotes_the_sentences_that_tell_most() -> None:
    summary = summarize_by_statistics(CHINESE, 2)
    assert len(summary["sentences"]) == 2
    assert all(sentence in CHINESE for sentence in summary["sentences"])
    assert "天气很好。" not in summary["text"]
    assert "apples" in summarize_by_statistics(ENGLISH, 1)["text"].lower()
    with pytest.raises(ToolError):
        summarize_by_statistics("  ")


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("snake", "hello_big_world"),
        ("kebab", "hello-big-world"),
        ("camel", "helloBigWorld"),
        ("title", "Hello Bigworld"),
    ],
)
def test_case_is_changed(style: str, text: str) -> None:
    assert change_case("hello bigWorld", style)["text"] == text


@given(st.text(max_size=400))
@settings(max_examples=80, deadline=None)
def test_any_text_can_be_counted(text: str) -> None:
    found = text_statistics(text)
    assert found["words"] <= found["characters"] + 1
    assert len(extract_keywords(text, 5)["keywords"]) <= 5


def test_large_texts_are_counted_or_refused() -> None:
    assert text_statistics("word " * 90_000)["words"] == 90_000
    assert text_statistics("字" * 100_000)["words"] == 100_000
    with pytest.raises(ToolError):
        text_statistics("x" * 600_000)
