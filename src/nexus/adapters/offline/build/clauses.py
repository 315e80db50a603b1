"""Falls a requirement into capabilities, and tells those from wishes about the manner."""

import re

from nexus.adapters.offline.build.needs import needs_in
from nexus.adapters.offline.templates.formula import formula_in

_NOUN = r"(?:agents?|assistants?|(?:chat)?bots?|helpers?|apps?|tools?)"
_LEAD = re.compile(
    rf"^\W*(?:please\s+)?(?:(?:i|we)(?:\s+(?:want|need|would like|'d like)(?:\s+to (?:build|have|make))?)|build|make|create|give me|develop|design)?\s*(?:me\s+|us\s+)?(?:an?\s+|the\s+|one\s+|two\s+|three\s+)?(?:small\s+|simple\s+|smart\s+|ai\s+)*"
    rf"{_NOUN}(?:\s+(?:called|named)\s+[\"“']?[\w-]+[\"”']?)?(?:\s*[:,]|\s+(?:that|which|who|to|for|can|should|will))*\s+",
    re.IGNORECASE,
)
_LEAD_ZH = re.compile(
    r"^(?:请|帮我|给我|我们?(?:想要?|需要|要)|想要|需要|做|创建|构建|建|开发|设计|生成|制作|打造|一个|一款|两个|三个|智能体|助手|机器人|[：:,，]|它|能够?|可以|用来|用于|会|名为\S{2,10}?的)+"
)
_TAIL_ZH = re.compile(r"的?(?:智能体|助手|机器人|代理|小工具|工具|应用)\W*$")
_SENTENCE = re.compile(r"(?<=[^\d])[.!?](?:\s+|$)|[。！？；;\n]+")
_PART = re.compile(
    r"\s*,\s*(?:and\s+|or\s+|then\s+|but\s+)?(?:also\s+)?|\s+and\s+(?:also\s+|then\s+)?|\s+as well as\s+|\s*[，、]\s*(?:并且?|以及|还|同时|也)?(?:能够?|可以|会)?|并且|以及|同时|还(?:能够?|可以|会)|(?<=[一-鿿])[和与并](?=[一-鿿A-Z])",
    re.IGNORECASE,
)
_EACH = re.compile(
    r"^(?:and\s+)?(?:one|another|the other|the first|the second|the third|an?)(?:\s+agent)?\s+(?:that\s+|which\s+|to\s+|for\s+|who\s+)?|^(?:另?一个|第[一二三]个|一个)(?:智能体)?(?:负责|用来|用于|能)?",
    re.IGNORECASE,
)
MANNER = re.compile(
    r"\b(?:explain|show|describ)\w*\s+(?:(?:its|the|each|every|all|their|his|your)\s+)*(?:steps?|work(?:ings?)?|reasoning|calculations?|results?|answers?)|\bstep by step|\b(?:be|is|stays?|polite|friendly|concise|short|brief|clear)(?:ly)?\s*(?:and\s+)?(?:polite|friendly|concise|short|brief|clear)?(?:ly)?$"
    r"|\b(?:answers?|repl(?:y|ies)|responds?|speaks?)\s+(?:(?:always|only|briefly|politely)\s+)*(?:in\s+(?:english|chinese)|briefly|politely|shortly)|\b(?:never|not)\s+(?:invents?|guess\w*|makes? (?:things|anything) up|hallucinat\w*)"
    r"|(?:解释|说明|展示|讲解|列出|给出|写出)(?:计算|每个|每一|它的|其|推理|详细)*(?:步骤|过程|推理)|步骤说明|一步一步|礼貌|友好|简洁|简短|(?:用|以)(?:中文|英文|汉语|英语)(?:回答|回复|作答)|不(?:要)?(?:编造|猜测|瞎编)",
    re.IGNORECASE,
)


_MOST = 40
"""Sentences, and parts of one, that are looked at."""


def capabilities(requirement: str) -> list[str]:
    """What the agent is to do, one entry per capability, in the words of the requirement."""
    found: list[str] = []
    for sentence in _SENTENCE.split(requirement)[:_MOST]:
        for part in _parts(sentence.strip()):
            if not is_manner(part):
                found.append(part)
    return list(dict.fromkeys(found))[:_MOST] or [requirement.strip()[:300]]


def manners(requirement: str) -> list[str]:
    """How it is to do it."""
    parts = [
        part.strip()
        for sentence in _SENTENCE.split(requirement)[:_MOST]
        for part in _PART.split(_body(sentence.strip()))[:_MOST]
        if part
    ]
    return list(dict.fromkeys(_words(part) for part in parts if part and is_manner(part)))[:6]


def is_manner(part: str) -> bool:
    return bool(MANNER.search(part)) and not any(one.library or one.template for one in needs_in(MANNER.sub(" ", part)))


def _parts(sentence: str) -> list[str]:
    """The parts that stand by themselves; one that does not borrows the verb before it, or belongs to the part before it."""
    if formula_in(sentence) and not needs_in(sentence):
        return [_words(_body(sentence))]
    parts: list[str] = []
    for piece in _PART.split(_body(sentence))[:_MOST]:
        piece = _words(_EACH.sub("", piece.strip())) if piece else ""
        if not piece:
            continue
        if needs_in(piece) or is_manner(piece) or not parts:
            parts.append(piece)
        elif " " in parts[-1] and _gains(verb := parts[-1].split(" ")[0], piece):
            parts.append(f"{verb} {piece}")
        elif is_manner(parts[-1]):
            parts.append(piece)
        else:
            parts[-1] = f"{parts[-1]}, {piece}" if parts[-1].isascii() else f"{parts[-1]}、{piece}"
    return parts


def _gains(verb: str, piece: str) -> bool:
    """Whether a verb makes sense of a piece that speaks of nothing by itself."""
    alone = {(one.library, one.template) for one in needs_in(verb)}
    return any((one.library, one.template) not in alone for one in needs_in(f"{verb} {piece}"))


def _body(sentence: str) -> str:
    body = _TAIL_ZH.sub("", _LEAD_ZH.sub("", _LEAD.sub("", sentence, count=1)))
    return body if body.strip() else sentence


def _words(part: str) -> str:
    return re.sub(r"\s+", " ", part).strip(" ,.，。:：的")[:300]
