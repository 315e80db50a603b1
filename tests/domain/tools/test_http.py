import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.domain.tools.library.pages import extract_readable_text


def test_a_page_becomes_its_visible_text() -> None:
    page = (
        "<!DOCTYPE html><html><head><TITLE>你 &amp; me</TITLE><style>p > a {}</style><meta x></head><body><h1>Head</h1><!-- <p>no</p> -->"
        "<p>One <b>two</b><br>three &lt; 4</p><SCRIPT>if (a<b) evil()</SCRIPT ><svg><title>x</title></svg><ul><li>a<li>b</ul>1 < 2</body></html>"
    )
    title, text = extract_readable_text(page)
    assert title == "你 & me"
    assert [line for line in text.splitlines() if line] == ["Head", "One two", "three < 4", "a", "b", "1 < 2"]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "piece",
    ["<p", "<!--", "<svg>", "<a ", "</svg>", "<![CDATA[", "&", "<script>", "<", "<>", "</", "<title>", "&#", "<!"],
)
def test_a_broken_page_takes_no_longer_than_a_whole_one(piece: str) -> None:
    extract_readable_text(piece * (1_000_000 // len(piece)))


@given(st.text(alphabet="<>/!-abstyle titlescriptp&;#x1", max_size=200))
def test_any_text_is_read(page: str) -> None:
    title, text = extract_readable_text(page)
    assert len(title) + len(text) <= 2 * len(page) + 1
