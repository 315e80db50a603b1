"""One answer of a conversation: tool calls, their results in words, a question back, or plainly what is possible."""

from collections.abc import Sequence
from datetime import date

import msgspec
from msgspec import Struct

from nexus.adapters.offline.answers.conversation import Outcome, outcomes_of
from nexus.adapters.offline.answers.phrases import joined, parameter_name, phrase
from nexus.adapters.offline.answers.readings import Reading
from nexus.adapters.offline.answers.tell import tell, text_of, value_of
from nexus.adapters.offline.answers.understanding import Understanding, understand
from nexus.adapters.offline.answers.unknown import cards_of_agent, is_agent, nearest_agent, related_tool
from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.reading.tokens import language_of, words_of
from nexus.adapters.offline.writing import spec_of_card
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import ModelRequest, ToolCall, ToolSpec

_HELLO = frozenset(
    "hi hello hey there good morning evening afternoon greetings everyone how are you up 你 好 您 嗨 哈 喽 早 上 晚 吗".split()
)
_THANKS = frozenset(
    "thanks thank you thx great ok okay cool bye goodbye perfect nice very much a lot so 谢 多 感 好 的 再 见 了 你 非 常".split()
)
_WHO = """who are you/what are you/what can you/what do you do/help/你 是 谁/你 能 做/你 会 做/你 可 以 做/功 能/帮 助/怎 么 用""".split(
    "/"
)


class Answered(Struct, frozen=True):
    """What to say and which calls to make; the text is empty when there are calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


def reply(request: ModelRequest, today: date) -> Answered:
    """The next answer in a conversation with the tools that are offered."""
    said = [message.content for message in request.messages if message.role == "user"] or [""]
    language, outcomes = spoken_language(said[-1]), outcomes_of(request.messages)
    if not outcomes and (small := _small_talk(said[-1], request.tools, language)):
        return Answered(small)
    found = understand(said, request.tools, today)
    if outcomes:
        readings = [*(one for one in found.found for _ in one.calls), *[None] * len(outcomes)]
        shown = [_outcome(one, call, request.tools, language) for one, call in zip(outcomes, readings, strict=False)]
        return Answered("\n\n".join(shown))
    asked = [(one.card.tool, msgspec.json.encode(call).decode()) for one in found.found for call in one.calls]
    if not asked and (agent := wanted_agent(said[-1], request.tools, today)):
        asked = [(agent.name, msgspec.json.encode({"message": said[-1]}).decode())]
    number = len([message for message in request.messages if message.role != "system"])
    calls = [ToolCall(f"call_{number}_{at}", *one) for at, one in enumerate(dict.fromkeys(asked))]
    return Answered(calls=tuple(calls)) if calls else Answered(_question(found, said[-1], request.tools, language))


def wanted_agent(said: str, tools: Sequence[ToolSpec], today: date) -> ToolSpec | None:
    """The one agent to pass a message on to: its cards understand it, or it alone speaks of the same things."""
    agents = [tool for tool in tools if is_agent(tool)]
    found = [
        (tool, understand([said], [spec_of_card(card) for card in cards_of_agent(tool)], today)) for tool in agents
    ]
    able = [tool for tool, one in found if one.found] or [tool for tool, one in found if one.asks or one.rivals]
    return able[0] if len(able) == 1 else None if able else nearest_agent(said, agents)


def spoken_language(text: str) -> Language:
    """The language of the question, whatever its material is in."""
    lines = text.strip()[:2000].replace("：", ":").split("\n")
    asked = [lines[0].partition(":")[0], lines[-1]]
    if any(language_of(part) == "zh" for part in asked):
        return "zh"
    return language_of(asked[0] if words_of(asked[0]) else text)


def _small_talk(said: str, tools: Sequence[ToolSpec], language: Language) -> str | None:
    words = words_of(said[:200])
    if not said.strip() or (words and len(words) < 8 and set(words) <= _HELLO):
        return f"{phrase('hello', language)} {_abilities(tools, language)}"
    if words and len(words) < 8 and set(words) <= _THANKS:
        return phrase("thanks", language)
    is_who = any(f" {one} " in f" {' '.join(words)} " for one in _WHO)
    if len(said) < 60 and is_who and not any(character.isdigit() for character in said):
        return f"{phrase('who', language)}\n\n{_abilities(tools, language)}\n\n{phrase('key', language)}"
    return None


def _abilities(tools: Sequence[ToolSpec], language: Language) -> str:
    """The tools as a list of what one may ask."""
    if not tools:
        return phrase("nothing", language)
    return "\n".join([phrase("abilities", language), "", *(_ability(tool, language) for tool in tools)])


def _ability(tool: ToolSpec, language: Language) -> str:
    if tool.name not in CARDS:
        first = tool.description.split(". ")[0]
        return f"- {first or tool.name}" if is_agent(tool) else f"- {tool.name}: {first}"
    example = _example(tool, language)
    return f"- {CARDS[tool.name].title(language)}" + (f" (“{example}”)" if example else "")


def _example(tool: ToolSpec | None, language: Language) -> str:
    """A message that works with this tool, in one line where there is such a one."""
    card = CARDS.get(tool.name) if tool else None
    return min(
        (one.input for one in (card.examples.get(language, ()) if card else ())),
        key=lambda one: "\n" in one,
        default="",
    )


def _question(found: Understanding, said: str, tools: Sequence[ToolSpec], language: Language) -> str:
    """What is missing or doubtful, or what was not understood; and what works."""
    asks, about = found.asks, [one.card.tool for one in ([found.asks] if found.asks else found.rivals)]
    if asks and asks.doubt and not asks.missing:
        name, (first, second) = asks.doubt
        return phrase("doubt", language, slot=parameter_name(name, language), first=first, second=second)
    if asks:
        missing = joined([parameter_name(name, language) for name in asks.missing], language)
        lines = [phrase("lacking", language, title=asks.card.title(language), missing=missing)]
    elif found.rivals:
        titles = joined([one.card.title(language) for one in found.rivals], language)
        lines = [phrase("rivals", language, titles=titles)]
    else:
        lines = [phrase("lost", language, part=found.unknown)]
    example = _example(related_tool(said, [tool for tool in tools if tool.name in (about or CARDS)]), language)
    lines.append(phrase("example", language, example=example) if example else _abilities(tools, language))
    return "\n\n".join(lines if about else [*lines, phrase("key", language)])


def _outcome(outcome: Outcome, reading: Reading | None, tools: Sequence[ToolSpec], language: Language) -> str:
    """A result in words, with what was taken over from the turn before."""
    if outcome.failure is not None:
        return phrase("failed", language, tool=outcome.tool, reason=outcome.failure)
    reading = reading if reading and reading.card.tool == outcome.tool else None
    spec = next((tool for tool in tools if tool.name == outcome.tool), ToolSpec(outcome.tool, "", {}))
    if outcome.tool in CARDS:
        properties = spec.parameters.get("properties", {})
        defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
        given = {**defaults, **outcome.arguments}
        text = tell(CARDS[outcome.tool], reading, given, outcome.result, language)
        text = text or text_of(outcome.result, language)
    elif is_agent(spec) and isinstance(outcome.result, str):
        text = outcome.result
    else:
        text = f"{phrase('answered', language, tool=outcome.tool)}\n\n{text_of(outcome.result, language)}"
    taken = {name: reading.bound[name] for name in reading.taken if name != "about"} if reading else {}
    shown = [f"{parameter_name(name, language)} {value_of(value, language)[:80]}" for name, value in taken.items()]
    return text + (f"\n\n{phrase('taken', language, taken=joined(shown, language))}" if shown else "")
