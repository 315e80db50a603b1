"""One answer of a conversation: tool calls, their results in words, or plainly what is possible."""

import re
from datetime import date

import msgspec
from msgspec import Struct

from nexus.adapters.offline.chat.choice import Wish, wishes
from nexus.adapters.offline.chat.conversation import Conversation, Outcome
from nexus.adapters.offline.chat.unknown import is_agent
from nexus.adapters.offline.language.phrases import PHRASES, parameter_name
from nexus.adapters.offline.language.script import joined, spoken_language
from nexus.adapters.offline.skills.registry import SKILLS
from nexus.adapters.offline.skills.told import text_of
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import ModelRequest, ToolCall, ToolSpec

_HELLO = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|evening|afternoon)|greetings|你好|您好|嗨|哈喽|早上好|晚上好)(?:\s+(?:there|everyone|all|friend))?(?:\s*[,!.，。！]?\s*(?:how are you|what'?s up|你好吗))?\W*$",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*(?:thanks?(?: you)?|thx|great|ok(?:ay)?|cool|bye|goodbye|谢谢|多谢|感谢|好的|再见)(?![A-Za-z]).{0,20}$",
    re.IGNORECASE,
)
_WHO = re.compile(
    r"\bwho are you|\bwhat (?:are you|can you|do you) ?|\bwhat can .* do\b|\bhelp\b|^\W*help|你是谁|你(?:能|会|可以)(?:做|干|帮)|有什么功能|帮助|怎么用|能做什么",
    re.IGNORECASE,
)


class Answered(Struct, frozen=True):
    """What to say and which calls to make; the text is empty when there are calls."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


def reply(request: ModelRequest, today: date) -> Answered:
    """The next answer in a conversation with the tools that are offered."""
    conversation = Conversation.of(request.messages)
    language = spoken_language(conversation.said)
    if outcomes := conversation.outcomes:
        return Answered("\n\n".join(_told(outcome, language) for outcome in outcomes))
    if _HELLO.match(conversation.said) or not conversation.said.strip():
        return Answered(f"{PHRASES[language].hello} {_abilities(request.tools, language)}")
    found = wishes(conversation, request.tools, today)
    if not found:
        return Answered(_without_tool(conversation.said, request.tools, language))
    if found[0].missing:
        return Answered(_lacking(found[0], language))
    calls = [
        ToolCall(
            f"call_{len(conversation.messages)}_{at}", wish.tool.name, msgspec.json.encode(wish.arguments).decode()
        )
        for at, wish in enumerate(found)
    ]
    return Answered(calls=tuple(calls))


def _without_tool(said: str, tools: tuple[ToolSpec, ...], language: Language) -> str:
    phrases = PHRASES[language]
    if _THANKS.match(said):
        return phrases.thanks
    lead = phrases.who if _WHO.search(said) else phrases.lost
    return f"{lead}\n\n{_abilities(tools, language)}\n\n{phrases.key}"


def _abilities(tools: tuple[ToolSpec, ...], language: Language) -> str:
    """The tools as a list of what one may ask."""
    phrases = PHRASES[language]
    if not tools:
        return phrases.nothing
    return "\n".join([phrases.abilities, "", *(_ability(tool, language) for tool in tools)])


def _ability(tool: ToolSpec, language: Language) -> str:
    skill = SKILLS.get(tool.name)
    if skill is None:
        return (
            f"- {tool.description or tool.name}"
            if is_agent(tool)
            else f"- {tool.name}: {tool.description.split('. ')[0]}"
        )
    example = next((one.input for one in skill.examples.get(language, ()) if "\n" not in one.input), "")
    return f"- {skill.topic.title(language)}" + (
        f" ({PHRASES[language].example.format(example=example)})" if example else ""
    )


def _lacking(wish: Wish, language: Language) -> str:
    skill = wish.skill
    missing = joined([parameter_name(name, language) for name in wish.missing], language)
    example = next((one.input for one in skill.examples.get(language, ()) if "\n" not in one.input), "")
    text = PHRASES[language].lacking.format(title=skill.topic.title(language), missing=missing)
    return f"{text}\n\n{PHRASES[language].example.format(example=example)}" if example else text


def _told(outcome: Outcome, language: Language) -> str:
    """A result in words. A teller that does not know the shape of a result leaves it to the plain listing."""
    skill = SKILLS.get(outcome.call.name)
    if outcome.failure is not None:
        return PHRASES[language].failed.format(tool=outcome.call.name, reason=outcome.failure)
    if skill and skill.tell:
        try:
            return skill.tell(outcome.arguments, outcome.result, language)
        except (KeyError, TypeError, ValueError, AttributeError):
            return _listed(outcome, language)
    return _listed(outcome, language)


def _listed(outcome: Outcome, language: Language) -> str:
    text = text_of(outcome.result, language)
    if outcome.call.name.startswith("ask_") and isinstance(outcome.result, str):
        return text
    return f"{PHRASES[language].answered.format(tool=outcome.call.name)}\n\n{text}"
