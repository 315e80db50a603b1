"""The parser of server-sent events."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.client.sse import MOST_BYTES, Frame, Parser, TooLong

LINE = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=30)
DATA = st.lists(LINE, min_size=1, max_size=4).map("\n".join)
NAME = LINE.filter(lambda text: text != "")
FRAMES = st.lists(st.builds(Frame, NAME, DATA, st.none() | st.integers(0, 10**12).map(str)), max_size=6)


def encoded(frame: Frame, end: str, comment: str) -> str:
    lines = [f":{comment}", f"event: {frame.event}"]
    lines += [f"id: {frame.id}"] if frame.id is not None else []
    return end.join([*lines, *(f"data: {line}" for line in frame.data.split("\n")), "", ""])


def parsed(parser: Parser, *chunks: bytes) -> list[Frame]:
    return [frame for chunk in chunks for frame in parser.parse_sse_chunk(chunk)]


@given(frames=FRAMES, comment=LINE, cuts=st.lists(st.integers(0, 2000), max_size=30), ends=st.randoms())
def test_however_the_bytes_are_cut_the_same_events_come_out(frames, comment, cuts, ends):
    text = "".join(encoded(frame, ends.choice(["\n", "\r\n", "\r"]), comment) for frame in frames)
    sent = text.encode()
    places = sorted({0, len(sent), *(cut % (len(sent) + 1) for cut in cuts)})
    parser = Parser()
    chunks = [sent[a:b] for a, b in itertools.pairwise(places)]
    assert parsed(parser, *chunks, b"\n") == frames
    assert parser.pings == len(frames)


def test_every_byte_alone_gives_the_same_as_all_at_once():
    sent = "retry: 1500\r\n\r\nid: 7\r\nevent: reply.delta\r\ndata: 你好\r\ndata:  x\r\n\r\n".encode()
    parser = Parser()
    assert parsed(parser, *(bytes([byte]) for byte in sent)) == [Frame("reply.delta", "你好\n x", "7")]
    assert parser.retry == 1.5


def test_a_byte_order_mark_an_unknown_field_and_a_bare_field_are_fine():
    assert parsed(Parser(), b"\xef\xbb\xbfdata\nwhat: ever\ndata: a\n\n") == [Frame("message", "\na", None)]


def test_an_event_without_data_is_none_and_its_name_and_id_do_not_leak_into_the_next():
    assert parsed(Parser(), b"event: a\nid: 3\n\ndata: b\n\n") == [Frame("message", "b", None)]


def test_an_id_with_a_nul_and_a_retry_that_is_no_number_are_ignored():
    parser = Parser()
    assert parsed(parser, b"id: 1\x002\nretry: soon\ndata: a\n\n") == [Frame("message", "a", None)]
    assert parser.retry is None


def test_an_unfinished_event_at_the_end_is_not_told():
    assert parsed(Parser(), b"data: a\n\ndata: b\n") == [Frame("message", "a", None)]


@pytest.mark.parametrize("piece", [b"x" * 1_000_000, b"data: " + b"x" * 1_000_000 + b"\n", b"data:\n" * 200_000])
def test_what_has_no_end_is_refused_before_it_fills_the_memory(piece):
    parser = Parser()
    with pytest.raises(TooLong):
        for _ in range(MOST_BYTES // 100_000):
            parser.parse_sse_chunk(piece)
