"""Stage `intake`: is there a task in it that rules can do, what is it called, and is it one agent or several."""

import re
from collections.abc import Sequence

from nexus.adapters.offline.build import fillers
from nexus.adapters.offline.build.clauses import Clause, clauses_of
from nexus.adapters.offline.build.naming import agent_name, agent_slug
from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.reading.tokens import language_of, plain, stem, tokens_of
from nexus.domain.builds.outputs import Brief, IntakeInput, Language

_STEERING = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|above|prior|all|earlier|your|any|the system)\b.{0,30}\b(?:instructions?|rules?|prompts?|guidelines?|directions?|context)"
    r"|\b(?:print|show|reveal|output|leak|repeat|tell me|give me|display|dump|send)\b.{0,30}\b(?:(?:your|the|system|hidden|initial)\s(?:system\s)?(?:prompt|instructions|rules)|api.?keys?|secrets?|credentials|environment variables|your keys?|private keys?)"
    r"|\byou are now\b.{0,40}\b(?:dan|jailbroken|unrestricted|developer mode)|\bjailbreak\b|\bdeveloper mode\b"
    r"|(?:忽略|无视|忘记|忘掉|不要理会|绕过).{0,15}(?:指令|指示|规则|提示词?|设定|要求|限制)|(?:输出|打印|显示|泄露|告诉我|说出|展示|给我).{0,12}(?:系统提示|提示词|密钥|口令|环境变量|系统指令|内部指令)",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"^\W{0,9}(?:please |can you )?(?:change|update|modify|extend|improve|adapt|alter|rename|fix)\b.{0,60}\b(?:agents?|assistants?|bots?)\b"
    r"|\badd\b.{0,80}\bto (?:the|my|our|this|that|an?) (?:existing )?.{0,30}\b(?:agent|assistant|bot)\b|\bexisting\b.{0,20}\b(?:agent|assistant|bot)\b"
    r"|(?:修改|更新|改进|升级|扩展|调整|完善)(?:一下)?.{0,15}(?:智能体|助手|机器人)|(?:给|为|把|让|在)(?:现有|已有|我的|这个|那个|原来|之前).{0,20}(?:智能体|助手|机器人)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\b(?:two|three|four|several|multiple|2|3|4) (?:\w{1,20} ){0,2}agents\b|\bone agent\b.{0,300}\b(?:another|one|second)\b|\bmulti.?agent|(?:两|二|三|四|多|几|2|3|4)个.{0,4}智能体|多智能体|一个智能体.{0,300}另一个",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“「『][^\"”」』]{0,400}[\"”」』]")
_PROBLEMS: dict[str, dict[Language, str]] = {
    "steering": {
        "en": "This tries to steer the builder instead of describing an agent. Say what the agent is to do.",
        "zh": "这段文字试图操纵构建过程，而不是描述一个智能体。请说明智能体应该做什么。",
    },
    "nothing": {
        "en": "There is no task in it. Say in a sentence what the agent is to do, for example “converts units and computes loan payments”.",
        "zh": "看不出要构建什么。请用一句话说明智能体应该做什么，例如“换算单位并计算贷款月供”。",
    },
    "language": {
        "en": "This needs a language model. The built-in offline model is rules alone (units, loans, dates, tables and the like) and did not understand {left}.",
        "zh": "这需要语言模型。内置的离线模型只有规则（单位、贷款、日期、表格等），没有理解{left}。",
    },
}


def intake(given: IntakeInput) -> Brief:
    requirement = given.requirement.strip()
    flat = re.sub(r"\s+", " ", requirement)
    language, (clauses, _) = language_of(plain(requirement)), clauses_of(requirement)
    served = [clause for clause in clauses if clause.served]
    problem = _problem(flat, clauses, language)
    cards = [CARDS[clause.card] for clause in served if clause.card]
    changes = bool(_CHANGE.search(flat))
    several = len({card.tool for card in cards}) > 1 and _SEVERAL.search(flat)
    return Brief(
        intent="unclear" if problem else "change" if changes else "new" if served else "needs_language_model",
        problem=problem or (None if served or changes else _needs_language(clauses, language)),
        name=agent_name(requirement, clauses, language),
        slug=agent_slug(requirement, clauses),
        language=language,
        category=cards[0].category if cards else "general",
        summary=flat[:300],
        assumptions=_assumptions(language),
        topology="multiple" if several else "single",
    )


def _problem(flat: str, clauses: Sequence[Clause], language: Language) -> str | None:
    """Why there is nothing to build, or None."""
    if _STEERING.search(_QUOTED.sub(" ", flat)):
        return _PROBLEMS["steering"][language]
    if any(clause.served for clause in clauses) or (_could_be_spoken(flat) and _says_something(clauses)):
        return None
    return _PROBLEMS["nothing"][language]


def _could_be_spoken(flat: str) -> bool:
    """Whether it is more than one word again and again, or words without vowels."""
    chinese = set(re.findall(r"[一-鿿]", flat))
    if chinese:
        return len(chinese) >= 3
    words = re.findall(r"[^\W\d_]+", flat.lower())
    spoken = [word for word in words if re.search(r"[^b-df-hj-np-tv-xz]", word)]
    return len(set(words)) > 1 and len(spoken) * 2 >= len(words)


def _says_something(clauses: Sequence[Clause]) -> bool:
    left = {stem(token.word) for clause in clauses for words in clause.left for token in tokens_of(words)}
    return bool(left - fillers.EMPTY)


def _needs_language(clauses: Sequence[Clause], language: Language) -> str:
    marks, comma = ("“{}”", "、") if language == "zh" else ("“{}”", ", ")
    left = comma.join(marks.format(words[:60]) for clause in clauses[:3] for words in clause.left[:4])
    return _PROBLEMS["language"][language].format(left=left[:250])


def _assumptions(language: Language) -> list[str]:
    if language == "zh":
        return ["智能体用中文回答。", "由离线模型（规则与模板，没有人工智能）构建。"]
    return ["The agent answers in English.", "Built by the offline model: rules and templates, no AI."]
