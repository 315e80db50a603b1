"""One answer of a conversation: tool calls, their results in words, a question back, or plainly what is possible."""

from collections.abc import Sequence
from datetime import date

import msgspec
from msgspec import Struct

from nexus.adapters.offline.answers.conversation import Conversation, Outcome
from nexus.adapters.offline.answers.phrases import PHRASES, joined, parameter_name
from nexus.adapters.offline.answers.readings import Reading
from nexus.adapters.offline.answers.tell import tell, text_of, value_of
from nexus.adapters.offline.answers.understanding import Understanding, understand
from nexus.adapters.offline.answers.unknown import cards_of_agent, is_agent, nearest_agent
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
_WHO = (
    "who are you",
    "what are you",
    "what can you",
    "what do you do",
    "help",
    "你 是 谁",
    "你 能 做",
    "你 会 做",
    "你 可 以 做",
    "功 能",
    "帮 助",
    "怎 么 用",
)


class Answered(Struct, frozen=True):
    """What to say and which calls to make; the text is empty when there are calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


def reply(request: ModelRequest, today: date) -> Answered:
    """The next answer in a conversation with the tools that are offered."""
    conversation = Conversation.of(request.messages)
    said = conversation.said
    language = spoken_language(said)
    if not conversation.outcomes and (small := _small_talk(said, request.tools, language)):
        return Answered(small)
    found = understand([*reversed(conversation.earlier), said], request.tools, today)
    if outcomes := conversation.outcomes:
        return Answered(
            "\n\n".join(
                _outcome_told(outcome, at, found, request.tools, language) for at, outcome in enumerate(outcomes)
            )
        )
    if found.calls:
        asked = [(one.card.tool, msgspec.json.encode(one.arguments).decode()) for one in found.calls]
        return _calls(list(dict.fromkeys(asked)), conversation)
    if agent := wanted_agent(said, request.tools, today):
        return _calls([(agent.name, msgspec.json.encode({"message": said}).decode())], conversation)
    return Answered(_question(found, request.tools, language))


def wanted_agent(said: str, tools: Sequence[ToolSpec], today: date) -> ToolSpec | None:
    """The one agent to pass a message on to: its cards understand it, or it alone speaks of the same things."""
    agents = [tool for tool in tools if is_agent(tool)]
    found = [
        (tool, understand([said], [spec_of_card(card) for card in cards_of_agent(tool)], today)) for tool in agents
    ]
    able = [tool for tool, one in found if one.calls] or [tool for tool, one in found if one.asks or one.rivals]
    return able[0] if len(able) == 1 else None if able else nearest_agent(said, agents)


def _calls(asked: Sequence[tuple[str, str]], conversation: Conversation) -> Answered:
    number = len(conversation.messages)
    return Answered(calls=tuple(ToolCall(f"call_{number}_{at}", name, given) for at, (name, given) in enumerate(asked)))


def spoken_language(text: str) -> Language:
    """The language of the question, whatever its material is in."""
    lines = text.strip()[:2000].replace("：", ":").split("\n")
    asked = [lines[0].partition(":")[0], lines[-1]]
    return (
        "zh"
        if any(language_of(part) == "zh" for part in asked)
        else language_of(asked[0] if words_of(asked[0]) else text)
    )


def _small_talk(said: str, tools: Sequence[ToolSpec], language: Language) -> str | None:
    words = words_of(said[:200])
    phrases = PHRASES[language]
    if not said.strip() or (words and len(words) < 8 and set(words) <= _HELLO):
        return f"{phrases.hello} {_abilities(tools, language)}"
    if words and len(words) < 8 and set(words) <= _THANKS:
        return phrases.thanks
    spoken = f" {' '.join(words)} "
    if (
        len(said) < 60
        and any(f" {phrase} " in spoken for phrase in _WHO)
        and not any(character.isdigit() for character in said)
    ):
        return f"{phrases.who}\n\n{_abilities(tools, language)}\n\n{phrases.key}"
    return None


def _abilities(tools: Sequence[ToolSpec], language: Language) -> str:
    """The tools as a list of what one may ask."""
    phrases = PHRASES[language]
    if not tools:
        return phrases.nothing
    return "\n".join([phrases.abilities, "", *(_ability(tool, language) for tool in tools)])


def _ability(tool: ToolSpec, language: Language) -> str:
    card = CARDS.get(tool.name)
    if card is None:
        first = tool.description.split(". ")[0]
        return f"- {first or tool.name}" if is_agent(tool) else f"- {tool.name}: {first}"
    example = _example([tool], language)
    return f"- {card.title(language)}" + (f" (“{example}”)" if example else "")


def _example(tools: Sequence[ToolSpec], language: Language) -> str:
    """A message that works with these tools."""
    cards = [CARDS[tool.name] for tool in tools if tool.name in CARDS]
    inputs = [one.input for card in cards for one in card.examples.get(language, ())]
    return min(inputs, key=lambda text: ("\n" in text, inputs.index(text)), default="")


def _question(found: Understanding, tools: Sequence[ToolSpec], language: Language) -> str:
    """What is missing or doubtful, or what was not understood; and what works."""
    phrases = PHRASES[language]
    if not tools:
        return f"{phrases.lost.format(part=found.unknown)}\n\n{phrases.nothing}\n\n{phrases.key}"
    lines, about = [], tools
    if found.asks and found.asks.missing:
        missing = joined([parameter_name(name, language) for name in found.asks.missing], language)
        lines.append(phrases.lacking.format(title=found.asks.card.title(language), missing=missing))
        about = [tool for tool in tools if tool.name == found.asks.card.tool]
    elif found.asks:
        doubt = found.asks.doubts[0]
        lines.append(
            phrases.doubt.format(name=parameter_name(doubt.name, language), first=doubt.doubt[0], second=doubt.doubt[1])
        )
        return lines[0]
    elif found.rivals:
        lines.append(phrases.rivals.format(titles=joined([one.card.title(language) for one in found.rivals], language)))
        about = [tool for tool in tools if tool.name in {one.card.tool for one in found.rivals}]
    else:
        lines.append(phrases.lost.format(part=found.unknown))
        about = [tool for tool in tools if tool.name == found.near] or tools
    example = _example(about, language)
    lines.append(phrases.example.format(example=example) if example else _abilities(tools, language))
    return "\n\n".join(lines if found.asks or found.rivals else [*lines, phrases.key])


def _outcome_told(
    outcome: Outcome, at: int, found: Understanding, tools: Sequence[ToolSpec], language: Language
) -> str:
    """A result in words, with what was taken over from the turn before."""
    phrases, name = PHRASES[language], outcome.call.name
    if outcome.failure is not None:
        return phrases.failed.format(tool=name, reason=outcome.failure)
    reading = found.calls[at] if at < len(found.calls) and found.calls[at].card.tool == name else None
    spec = next((tool for tool in tools if tool.name == name), ToolSpec(name, "", {}))
    if name in CARDS:
        defaults = {
            key: schema["default"]
            for key, schema in spec.parameters.get("properties", {}).items()
            if "default" in schema
        }
        text = tell(CARDS[name], reading, {**defaults, **outcome.arguments}, outcome.result, language) or text_of(
            outcome.result, language
        )
    elif is_agent(spec) and isinstance(outcome.result, str):
        text = outcome.result
    else:
        text = f"{phrases.answered.format(tool=name)}\n\n{text_of(outcome.result, language)}"
    return text + (f"\n\n{_taken(reading, language)}" if reading and reading.taken else "")


def _taken(reading: Reading, language: Language) -> str:
    names = [name for name in reading.taken if name != "today"]
    shown = [
        f"{parameter_name(name, language)} {value_of(list(_shown(reading.bound[name].value)), language)[:80]}"
        for name in names
    ]
    return PHRASES[language].taken.format(taken=joined(shown, language)) if shown else ""


def _shown(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else [value]
