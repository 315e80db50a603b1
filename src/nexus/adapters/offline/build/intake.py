"""Stage `intake`: is there a task in it that rules can do, what is it called, and is it one agent or several."""

import re
import zlib
from collections.abc import Sequence

from nexus.adapters.offline.build.clauses import WORDS, Clause, clauses_of
from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.reading.tokens import language_of, plain, stem, words_of
from nexus.domain.builds.outputs import Brief, IntakeInput, Language

_STEERING = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|above|prior|all|earlier|your|any|the system)"
    r"\b.{0,30}\b(?:instructions?|rules?|prompts?|guidelines?|directions?|context)"
    r"|\b(?:print|show|reveal|output|leak|repeat|tell me|give me|display|dump|send)\b.{0,30}\b"
    r"(?:(?:your|the|system|hidden|initial)\s(?:system\s)?(?:prompt|instructions|rules)"
    r"|api.?keys?|secrets?|credentials|environment variables|your keys?|private keys?)"
    r"|\byou are now\b.{0,40}\b(?:dan|jailbroken|unrestricted)|\bjailbreak\b|\bdeveloper mode\b"
    r"|(?:忽略|无视|忘记|忘掉|不要理会|绕过).{0,15}(?:指令|指示|规则|提示词?|设定|要求|限制)"
    r"|(?:输出|打印|显示|泄露|告诉我|说出|展示|给我).{0,12}(?:系统提示|提示词|密钥|口令|环境变量|系统指令|内部指令)",
    re.IGNORECASE,
)
_CHANGE = re.compile(
    r"^\W{0,9}(?:please |can you )?(?:change|update|modify|extend|improve|adapt|alter|rename|fix)\b.{0,60}"
    r"\b(?:agents?|assistants?|bots?)\b|\bexisting\b.{0,20}\b(?:agent|assistant|bot)\b"
    r"|\badd\b.{0,80}\bto (?:the|my|our|this|that|an?) (?:existing )?.{0,30}\b(?:agent|assistant|bot)\b"
    r"|(?:修改|更新|改进|升级|扩展|调整|完善)(?:一下)?.{0,15}(?:智能体|助手|机器人)"
    r"|(?:给|为|把|让|在)(?:现有|已有|我的|这个|那个|原来|之前).{0,20}(?:智能体|助手|机器人)",
    re.IGNORECASE,
)
_SEVERAL = re.compile(
    r"\b(?:two|three|four|several|multiple|[234]) (?:\w{1,20} ){0,2}agents\b|\bmulti.?agent|多智能体"
    r"|\bone agent\b.{0,300}\b(?:another|one|second)\b|[两二三四多几234]个.{0,4}智能体|一个智能体.{0,300}另一个",
    re.IGNORECASE,
)
_GIVEN = re.compile(
    r"\b(?:called|named)\s+[\"“']?([A-Za-z][\w-]{1,30}(?-i:(?: [A-Z][\w-]{1,30})?))"
    r"|(?:名为|名叫|叫做|叫作|取名)[“\"「]?([\w一-鿿]{2,20}?)[”\"」]?(?=的|，|。|,|$)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"[\"“「『][^\"”」』]{0,400}[\"”」』]")
_SAYS: dict[Language, dict[str, str]] = {
    "en": {
        "steering": "This tries to steer the builder instead of describing an agent. Say what the agent is to do.",
        "nothing": "There is no task in it. Say in a sentence what the agent is to do, for example “converts units and "
        "computes loan payments”.",
        "language": "This needs a language model. The built-in offline model is rules alone (units, loans, dates, "
        "tables and the like) and did not understand {}.",
        "built": "Built by the offline model: rules and templates, no AI. It answers in English.",
    },
    "zh": {
        "steering": "这段文字试图操纵构建过程，而不是描述一个智能体。请说明智能体应该做什么。",
        "nothing": "看不出要构建什么。请用一句话说明智能体应该做什么，例如“换算单位并计算贷款月供”。",
        "language": "这需要语言模型。内置的离线模型只有规则（单位、贷款、日期、表格等），没有理解{}。",
        "built": "由离线模型（规则与模板，没有人工智能）构建，用中文回答。",
    },
}


def intake(given: IntakeInput) -> Brief:
    requirement, flat = given.requirement.strip(), re.sub(r"\s+", " ", given.requirement).strip()
    language, (clauses, _) = language_of(plain(requirement)), clauses_of(requirement)
    served = [clause for clause in clauses if clause.served]
    problem, changes = _problem(flat, clauses, language), bool(_CHANGE.search(flat))
    cards = [CARDS[clause.card] for clause in served if clause.card]
    several = len({card.tool for card in cards}) > 1 and _SEVERAL.search(flat)
    name, slug = _name(requirement, served, language)
    return Brief(
        intent="unclear" if problem else "change" if changes else "new" if served else "needs_language_model",
        problem=problem or (None if served or changes else _needs_language(clauses, language)),
        name=name,
        slug=slug,
        language=language,
        category=cards[0].category if cards else "general",
        summary=flat[:300],
        assumptions=[_SAYS[language]["built"]],
        topology="multiple" if several else "single",
    )


def _problem(flat: str, clauses: Sequence[Clause], language: Language) -> str | None:
    """Why there is nothing to build, or None. Says nothing: one word again and again, or words without vowels."""
    if _STEERING.search(_QUOTED.sub(" ", flat)):
        return _SAYS[language]["steering"]
    chinese, words = set(re.findall(r"[一-鿿]", flat)), re.findall(r"[^\W\d_]+", flat.lower())
    spoken = [word for word in words if re.search(r"[^b-df-hj-np-tv-xz]", word)]
    could_be = len(chinese) >= 3 if chinese else len(set(words)) > 1 and len(spoken) * 2 >= len(words)
    left = {stem(word) for clause in clauses for words in clause.left for word in words_of(words)}
    says = could_be and left - {*map(stem, WORDS["empty"])}
    return None if says or any(clause.served for clause in clauses) else _SAYS[language]["nothing"]


def _needs_language(clauses: Sequence[Clause], language: Language) -> str:
    left = [f"“{words[:60]}”" for clause in clauses[:3] for words in clause.left[:4]]
    return _SAYS[language]["language"].format(("、" if language == "zh" else ", ").join(left)[:250])


def _name(requirement: str, served: Sequence[Clause], language: Language) -> tuple[str, str]:
    """Name and slug: as the requirement calls it, else after what is served."""
    found = _GIVEN.search(requirement[:2000])
    titles, english = titles_of(served, language), titles_of(served, "en")
    if language == "zh":
        named = (
            ("与".join(titles) if len(titles) < 3 else f"{'、'.join(titles[:2])}等") + "助手" if titles else "智能体"
        )
    else:
        named = (" and ".join(titles) if len(titles) < 3 else f"{', '.join(titles[:2])} and more") or "Agent"
    slug = _slug(found[1] or "" if found else "") or _slug(" ".join(english[:2]))
    numbered = f"agent_{zlib.crc32(requirement.encode(errors='replace')) & 0xFFFFFF:06x}"
    return ((found[1] or found[2]).strip() if found else named)[:80], slug or numbered


def titles_of(served: Sequence[Clause], language: Language) -> list[str]:
    """What these clauses are about, each once."""
    formulas = [one.formula.name.replace("_", " ").capitalize() if one.formula else "" for one in served]
    titles = [
        CARDS[one.card].title(language) if one.card else formula for one, formula in zip(served, formulas, strict=True)
    ]
    return list(dict.fromkeys(titles))


def _slug(text: str) -> str:
    """At most 40 characters, cut between words; empty when nothing of the text can be in a slug."""
    words = re.findall(r"[a-z0-9]+", text.lower()[:400])
    while len("_".join(words)) > 40 and len(words) > 1:
        words.pop()
    return slug if re.fullmatch(r"[a-z][a-z0-9_]{2,39}", slug := "_".join(words)[:40]) else ""
