"""One answer of a conversation: tool calls, their results in words, a question back, or plainly what is possible."""

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
from msgspec import Struct

from nexus.adapters.offline.answers.phrases import get_parameter_label, join_with_and, render_phrase_in_language
from nexus.adapters.offline.answers.readings import Reading
from nexus.adapters.offline.answers.tell import format_result_sentence, format_value
from nexus.adapters.offline.answers.understanding import Understanding, interpret_conversation
from nexus.adapters.offline.cards import CARDS, Card
from nexus.adapters.offline.reading.tokens import detect_language, split_words
from nexus.domain.builds.outputs import Language
from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ChatMessage, ModelRequest, ToolCall, ToolSpec

_HELLO = {*"hi hello hey there good morning evening afternoon how are you up 你 好 您 嗨 哈 喽 早 上 晚 吗".split()}
_THANKS = {
    *"thanks thank you thx great ok okay cool bye perfect nice very much a lot so 谢 多 感 好 的 再 见 了 你".split()
}
_WHO = """who are you/what are you/what can you/what do you do/help/你 是 谁/你 能 做/你 会 做/你 可 以 做/功 能/帮 助/怎 么 用"""


class Answered(Struct, frozen=True):
    """What to say and which calls to make; the text is empty when there are calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


def make_chat_reply(request: ModelRequest, today: date) -> Answered:
    """The next answer in a conversation with the tools that are offered."""
    said = [message.content for message in request.messages if message.role == "user"] or [""]
    language, outcomes = detect_question_language(said[-1]), _list_tool_results(request.messages)
    if not outcomes and (small := _answer_small_talk(said[-1], request.tools, language)):
        return Answered(small)
    found = interpret_conversation(said, request.tools, today)
    asked = [(one, call) for one in found.found for call in one.calls]
    if outcomes:
        readings = [*(one for one, _ in asked), *[None] * len(outcomes)]
        told = [
            _format_tool_result(*one, reading, request.tools, language)
            for one, reading in zip(outcomes, readings, strict=False)
        ]
        return Answered("\n\n".join(told))
    wanted = dict.fromkeys((one.card.tool, msgspec.json.encode(call).decode()) for one, call in asked)
    number = len([message for message in request.messages if message.role != "system"])
    calls = [ToolCall(f"call_{number}_{at}", *one) for at, one in enumerate(wanted)]
    return (
        Answered(calls=tuple(calls))
        if calls
        else Answered(_ask_for_clarification(found, said[-1], request.tools, language))
    )


def detect_question_language(text: str) -> Language:
    """The language of the question, whatever its material is in."""
    lines = text.strip()[:2000].replace("：", ":").split("\n")
    asked = [lines[0].partition(":")[0], lines[-1]]
    if any(detect_language(part) == "zh" for part in asked):
        return "zh"
    return detect_language(asked[0] if split_words(asked[0]) else text)


def _list_tool_results(messages: Sequence[ChatMessage]) -> list[tuple[ToolCall, Any]]:
    """The tool calls since the user spoke, in order, each with its result."""
    start = max((at for at, message in enumerate(messages) if message.role == "user"), default=-1)
    since = messages[start + 1 :]
    results = {message.call_id: _decode_json_or_text(message.content) for message in since if message.role == "tool"}
    return [(call, results[call.call_id]) for message in since for call in message.calls if call.call_id in results]


def _decode_json_or_text(text: str) -> Any:
    """JSON; a text that is none stays as it is."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return text


def _format_tool_result(
    call: ToolCall, result: Any, reading: Reading | None, tools: Sequence[ToolSpec], language: Language
) -> str:
    """A result in words, with what was taken over from the turn before."""
    is_failure = isinstance(result, dict) and result and result.keys() <= {"error", "errors", "detail"}
    if is_failure or (isinstance(result, str) and result.lower().startswith("error")):
        reason = str(result.get("error", result) if is_failure else result)
        return render_phrase_in_language("failed", language, tool=call.name, reason=reason)
    reading = reading if reading and reading.card.tool == call.name else None
    properties: dict[str, JSON] = next(
        (tool.parameters.get("properties", {}) for tool in tools if tool.name == call.name), {}
    )
    given = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
    text = format_result_sentence(call.name, reading, given | _decode_json_or_text(call.arguments), result, language)
    taken = {name: reading.bound[name] for name in reading.taken if name != "about"} if reading else {}
    shown = [
        f"{get_parameter_label(name, language)} {format_value(value, language)[:80]}" for name, value in taken.items()
    ]
    return text + (
        f"\n\n{render_phrase_in_language('taken', language, taken=join_with_and(shown, language))}" if shown else ""
    )


def _answer_small_talk(said: str, tools: Sequence[ToolSpec], language: Language) -> str | None:
    words = split_words(said[:200])
    if not said.strip() or (words and len(words) < 8 and set(words) <= _HELLO):
        return f"{render_phrase_in_language('hello', language)} {_format_tool_list(tools, language)}"
    if words and len(words) < 8 and set(words) <= _THANKS:
        return render_phrase_in_language("thanks", language)
    is_who = any(f" {one} " in f" {' '.join(words)} " for one in _WHO.split("/"))
    if len(said) < 60 and is_who and not any(map(str.isdigit, said)):
        return f"{render_phrase_in_language('who', language)}\n\n{_format_tool_list(tools, language)}\n\n{render_phrase_in_language('key', language)}"
    return None


def _format_tool_list(tools: Sequence[ToolSpec], language: Language) -> str:
    """The tools as a list of what one may ask; those without a card by their description."""
    lines = [render_phrase_in_language("abilities" if tools else "nothing", language), ""]
    for tool in tools:
        card = CARDS.get(tool.name)
        example = f" (“{_find_example_message(card, language)}”)" if card else f": {tool.description.split('. ')[0]}"
        lines.append(f"- {card.get_title(language) if card else tool.name}{example}")
    return "\n".join(lines).strip()


def _find_example_message(card: Card, language: Language) -> str:
    """A message that works with this card, in one line where there is such a one."""
    return min((one.input for one in card.examples.get(language, ())), key=lambda one: "\n" in one, default="")


def _ask_for_clarification(found: Understanding, said: str, tools: Sequence[ToolSpec], language: Language) -> str:
    """What is missing, or what was not understood; and what works."""
    asks, about = found.asks, [found.asks.card] if found.asks else [one.card for one in found.rivals]
    if asks:
        missing = join_with_and([get_parameter_label(name, language) for name in asks.missing], language)
        lines = [render_phrase_in_language("lacking", language, title=asks.card.get_title(language), missing=missing)]
    elif found.rivals:
        titles = join_with_and([card.get_title(language) for card in about], language)
        lines = [render_phrase_in_language("rivals", language, titles=titles)]
    else:
        lines = [render_phrase_in_language("lost", language, part=found.unknown)]
    spoken, cards = {*split_words(said[:400])}, about or [CARDS[tool.name] for tool in tools if tool.name in CARDS]
    texts = {card.tool: f"{card.requests} {card.examples}" for card in cards}
    near = max(cards, key=lambda card: len(spoken & {*split_words(texts[card.tool])}), default=None)
    lines.append(
        render_phrase_in_language("example", language, example=_find_example_message(near, language))
        if near
        else _format_tool_list(tools, language)
    )
    return "\n\n".join(lines if about else [*lines, render_phrase_in_language("key", language)])
