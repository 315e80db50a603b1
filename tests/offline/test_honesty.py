"""Nothing that is said is ignored, and reading costs time in proportion to what was said."""

import gc
import time
from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nexus.adapters.offline.answers.understanding import interpret_conversation
from nexus.adapters.offline.cards import CARDS
from tests.offline.support import TOOLS, say, spec_of_card

TODAY = date(2026, 1, 1)
SPECS = {name: spec_of_card(card) for name, card in CARDS.items()}
ASKED = [
    (name, language, example.input)
    for name, card in CARDS.items()
    for language, examples in card.examples.items()
    for example in examples
    if "\n" not in example.input and ":" not in example.input and "：" not in example.input and '"' not in example.input
]
EXTRAS = {
    "en": ["7", "7.5", "12 kg", "3 miles", "40%", "$9", "15 minutes", "1/2", "three", "half", "a dozen", "2027-03-04", "8 pm", "in Paris",
           "not", "without tax", "except Sundays", "another", "before tax", "per person", "at least", "at most", "average", "highest",
           "unless it rains", "but only once", "twice", "minus 5", "plus shipping", "excluding fees", "if it is cheap", "and 4 cats"],
    "zh": ["7", "7.5", "12公斤", "3英里", "40%", "9元", "15分钟", "三个", "半个", "一半", "2027年3月4日", "晚上8点", "在巴黎", "不", "不含税",
           "除了周日", "另外", "税前", "每人", "至少", "至多", "平均", "最高", "如果下雨", "只要一次", "两倍", "减5", "加运费", "还有4只猫"],
}  # fmt: skip


@st.composite
def _disturbed(draw: st.DrawFn) -> tuple[str, str, str, str]:
    name, language, said = draw(st.sampled_from(ASKED))
    extra = draw(st.sampled_from(EXTRAS[language]))
    places = [at for at, sign in enumerate(said) if sign == " "] if language == "en" else list(range(1, len(said) + 1))
    at = draw(st.sampled_from([*places, len(said.rstrip("?？"))]))
    return name, said, f"{said[:at]} {extra} {said[at:]}", extra


@settings(max_examples=400, deadline=None, derandomize=True)
@given(_disturbed())
def test_what_is_said_beside_a_question_is_used_or_the_answer_is_a_question(case: tuple[str, str, str, str]) -> None:
    name, said, disturbed, extra = case
    whole, found = (
        [call for one in interpret_conversation([text], [SPECS[name]], TODAY).found for call in one.calls]
        for text in (said, disturbed)
    )
    is_said_already = extra in str((CARDS[name].words, [frame.words for frame in CARDS[name].frames])).replace("_", " ")
    assert is_said_already or not found or found != whole, disturbed


REPEATED = ["what ", "0", "１", " ", "5 km ", "½", "(", "一", "$1,000 ", "1/2 ", "and ", ",", '"', "'", "\n", "a,b\n", ":", "{", "```\n", "twenty ",
            "3月", "5'9\" ", "2026-01-01 ", "how many ", "%", "请", "sqrt(", "1.", "北京"]  # fmt: skip


@pytest.mark.parametrize("piece", REPEATED)
def test_twice_the_text_costs_at_most_three_times_the_work(piece: str) -> None:
    def cost(text: str) -> float:
        """Without the collector, whose rounds cost what other tests left behind."""
        gc.collect()
        gc.disable()
        started = time.process_time()
        try:
            interpret_conversation([text], TOOLS, TODAY)
            return time.process_time() - started
        finally:
            gc.enable()

    single, double = piece * (40_000 // len(piece)), piece * (80_000 // len(piece))
    cost(single)
    assert min(cost(double) for _ in range(3)) <= 3 * max(min(cost(single) for _ in range(3)), 0.05)


async def test_a_huge_message_of_nothing_is_answered() -> None:
    for text in (" " * 50_000, "0" * 50_000, "what " * 10_000, "((((" * 10_000):
        answer, calls = await say(text)
        assert answer
        assert not calls
