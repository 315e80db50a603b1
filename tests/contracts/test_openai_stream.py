"""However the network cuts a stream, the same events come out of it, and the same answer is put together."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus.adapters.openai.sse import Splitter
from nexus.adapters.openai.wire import Assembly, FaultStream
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.models import Delta, End, ToolCall, Usage

LINES = st.lists(
    st.sampled_from(
        ["data: {}", "data:x", 'data: {"a":"你好"}', "data", "data: ", ": ping", "event: m", "id: 3", "", "dat: no", "data:  y"]
    ),
    max_size=30,
)  # fmt: skip


def split(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    splitter = Splitter()
    return [event for piece in pieces for event in splitter.split_sse_payloads(piece)], splitter.done


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    ends = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(ends)]


@given(
    LINES,
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.booleans(),
    st.lists(st.integers(0, 2000), max_size=40),
)
def test_any_cut_gives_the_same_events(
    lines: list[str], ending: str, done: bool, mark: bool, places: list[int]
) -> None:
    text = ending.join([*lines, "", *(["data: [DONE]", "", "data: late", ""] if done else []), ""])
    stream = (b"\xef\xbb\xbf" if mark else b"") + text.encode() + b": end"
    assert split(cut(stream, places)) == split([stream])
    assert split([stream[n : n + 1] for n in range(len(stream))]) == split([stream])


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_events_are_what_the_format_says(ending: bytes) -> None:
    lines = [
        b": ping",
        b"",
        b"data: one",
        b"data:two",
        b"id: 7",
        b"",
        b"event: x",
        b"",
        b"data: last",
        b"",
        b"data: cut",
    ]
    assert split([ending.join(lines)]) == ([b"one\ntwo", b"last"], False)


def test_nothing_is_read_after_done() -> None:
    splitter = Splitter()
    assert splitter.split_sse_payloads(b"data: 1\n\ndata: [DONE]\n\ndata: 2\n\n") == [b"1"]
    assert splitter.done
    assert splitter.split_sse_payloads(b"data: 3\n\n") == []


def test_an_event_that_does_not_end_is_given_up() -> None:
    splitter = Splitter()
    with pytest.raises(Unavailable):
        for _ in range(80):
            splitter.split_sse_payloads(b"data: " + b"x" * 65536)


def chunk(delta: dict[str, object], finish: str | None = None, **more: object) -> bytes:
    return json.dumps({"id": "c", "choices": [{"delta": delta, "finish_reason": finish}], **more}).encode()


def call(text: str, *, index: int | None = 0, call_id: str | None = None, name: str | None = None) -> bytes:
    return chunk({"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": text}}]})


def assembled(*payloads: bytes) -> End:
    assembly = Assembly()
    assembly.add_sse_payloads(payloads)
    assert assembly.has_stop_reason
    return assembly.make_end_event()


def test_one_read_is_one_delta() -> None:
    taken = Assembly().add_sse_payloads(
        [chunk({"content": "a"}), chunk({"reasoning_content": "r"}), chunk({"content": "b"})]
    )
    assert taken == Delta(text="ab", reasoning="r")
    assert Assembly().add_sse_payloads([chunk({"role": "assistant", "content": ""}), chunk({"content": None})]) is None


STOP = chunk({}, "stop")


@pytest.mark.parametrize(
    "fragments",
    [
        [call("", call_id="a", name="f"), call("", index=1, call_id="b", name="g"), call('{"x"', index=0), call("[]", index=1), call(":1}")],
        [call('{"x":1}', call_id="a", name="f"), call("[]", call_id="b", name="g")],
        [call('{"x":1}', index=None, call_id="a", name="f"), call("[]", index=None, call_id="b", name="g")],
        [call('{"x"', call_id="a", name="f"), call(":1}", call_id="a", name="f"), call("[]", index=1, call_id="b", name="g")],
        [call('{"x"', call_id="a", name="f"), call(":1}", call_id="z"), call("[]", index=1, call_id="b", name="g")],
        [call('{"x"', call_id="a", name="f"), call(":1}", name="f"), call("[]", index=1, call_id="b", name="g")],
    ],
    ids=["by index", "all index 0", "no index", "id repeated", "id new with each fragment", "name repeated"],
)  # fmt: skip
def test_calls_are_put_together_as_endpoints_really_send_them(fragments: list[bytes]) -> None:
    end = assembled(*fragments, STOP)
    assert end == End(stop="tool_calls", calls=(ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "[]")))


def test_calls_without_ids_or_arguments_get_some() -> None:
    end = assembled(call("", index=None, name="f"), call("", index=None, name="f"), STOP)
    assert end.calls == (ToolCall("c-0", "f", "{}"), ToolCall("c-1", "f", "{}"))


@pytest.mark.parametrize("finish", ["length", "content_filter"])
def test_half_a_call_is_no_call(finish: str) -> None:
    end = assembled(call('{"x": 1', call_id="a", name="f"), chunk({}, finish))
    assert (end.stop, end.calls) == (finish, ())


def test_a_call_without_a_name_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        assembled(call("{}", call_id="a"), STOP)


def test_a_finish_that_promises_calls_and_has_none_is_an_end() -> None:
    assert assembled(chunk({}, "tool_calls")).stop == "end"


def test_usage_comes_in_the_last_chunk_with_or_without_choices() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    assert assembled(STOP, json.dumps({"choices": [], "usage": usage}).encode()).usage == Usage(3, 4)
    assert assembled(chunk({}, "stop", usage=usage)).usage == Usage(3, 4)
    assert assembled(chunk({}, "stop", usage=None)).usage is None


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b'{"choices": 3}', b'{"choices":[{"delta":{"content":[]}}]}', b'"\xff"', b"[" * 100_000]
)
def test_what_is_no_chunk_is_unavailable(payload: bytes) -> None:
    with pytest.raises(Unavailable):
        Assembly().add_sse_payloads([payload])


@pytest.mark.parametrize("payload", [b'{"error":{"message":"full","code":503}}', b'{"error":"full"}'])
def test_an_error_in_the_stream_is_told(payload: bytes) -> None:
    with pytest.raises(FaultStream) as told:
        Assembly().add_sse_payloads([payload])
    assert told.value.fault.message == "full"
