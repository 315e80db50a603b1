"""Things inside texts: addresses, numbers, patterns, log entries, web pages."""

import re
from typing import Any

from nexus.adapters.offline.language.script import instruction, payload, quoted
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON, ToolSpec

_KINDS = {
    "email": r"e-?mails?|邮箱|邮件地址|电子邮件", "url": r"\burls?\b|\blinks?\b|web addresses|网址|链接", "ipv4": r"(?<![A-Za-z])ip(?:s|v4)?(?![A-Za-z])|ip ?地址", "phone": r"phones?|telephone|电话|手机号?",
    "uuid": r"uuids?", "date": r"\bdates?\b|日期", "time": r"\btimes\b|时间", "log_level": r"log levels?|日志级别", "number": r"numbers?|数字|数值",
}  # fmt: skip
_LEVELS = {
    "critical": r"critical|fatal|致命|严重", "error": r"\berrors?\b|\bfailures?\b|\bexceptions?\b|错误|报错|异常", "warning": r"\bwarn(?:ing)?s?\b|警告|告警",
    "info": r"\binfo\b|信息", "debug": r"\bdebug\b|调试",
}  # fmt: skip
_URL = re.compile(r"https?://[^\s<>\"'，。）)]+")
_LOOKING = (
    r"\bextract|\bfind\b|\blist\b|\bget\b|\bpull\b|\bwhich\b|\bwhat\b|\bshow\b|提取|找出|找到|列出|抽取|有哪些|识别"
)


def _entities(said: Said, tool: ToolSpec) -> list[Reading]:
    """One call per kind that is asked for: `extract emails and phone numbers`."""
    asked, text = instruction(said.text), payload(said.text)
    kinds = [kind for kind, words in _KINDS.items() if re.search(words, asked, re.IGNORECASE)]
    if "phone" in kinds and "number" in kinds and len(re.findall(r"numbers?|数字", asked)) < 2:
        kinds.remove("number")
    if not kinds:
        return []
    behind = re.search(
        r"\b(?:extract|find|get|pull)\b.*?\b(?:from|in)\s+(.{12,})", said.text, re.IGNORECASE | re.DOTALL
    )
    text = text or str((said.previous or {}).get("text", "")) or (behind[1] if behind else "")
    return [Reading({"text": text, "kind": kind}) for kind in kinds] if text else _asked_without_text(said, kinds)


def _asked_without_text(said: Said, kinds: list[str]) -> list[Reading]:
    return (
        [Reading({"kind": kinds[0]}, ("text",))] if re.search(r"\bextract|提取|抽取", said.text, re.IGNORECASE) else []
    )


def _pattern(said: Said, tool: ToolSpec) -> list[Reading]:
    asked = re.search(r"/((?:[^/\n]|\\/)+)/", said.text)
    pattern = asked[1] if asked else next(iter(quoted(instruction(said.text)) or quoted(said.text)), None)
    text = payload(said.text)
    found: JSON = {"pattern": pattern, "text": text or None}
    if re.search(r"ignor\w+ case|case.insensitive|忽略大小写", said.text, re.IGNORECASE):
        found["ignore_case"] = True
    known = dict({**(said.previous or {}), **{name: value for name, value in found.items() if value}}.items())
    return [Reading(known, tuple(name for name in ("text", "pattern") if name not in known))]


def _logs(said: Said, tool: ToolSpec) -> list[Reading]:
    asked, text = instruction(said.text), payload(said.text)
    known: JSON = dict(said.previous or {}) | ({"text": text} if text else {})
    level = next((level for level, words in _LEVELS.items() if re.search(words, asked, re.IGNORECASE)), None)
    if level:
        known["level"] = level
    contains = re.search(
        r"(?:containing|contains?|mention\w*|about|with the word|包含|含有)\s*[“\"'「]?([^\s“”\"'」的,，]+)",
        asked,
        re.IGNORECASE,
    )
    if contains:
        known["contains"] = contains[1]
    return [Reading(known, () if "text" in known else ("text",))]


def _page(said: Said, tool: ToolSpec) -> list[Reading]:
    return [Reading({"url": address}) for address in dict.fromkeys(_URL.findall(said.text))] or [Reading({}, ("url",))]


def _tell_found(arguments: JSON, result: Any, language: Language) -> str:
    rows = next((value for value in result.values() if isinstance(value, list)), [])
    values = [str(row.get("value", row.get("match", row))) if isinstance(row, dict) else str(row) for row in rows]
    if not values:
        return "没有找到。" if language == "zh" else "Nothing was found."
    lead = f"找到{len(values)}个：" if language == "zh" else f"Found {len(values)}:"
    return lead + "\n\n" + "\n".join(f"- {value}" for value in values)


def _tell_logs(arguments: JSON, result: Any, language: Language) -> str:
    levels = ", ".join(f"{name} {count}" for name, count in result["levels"].items())
    if language == "zh":
        return f"共{result['total']}条日志（{levels}），符合条件{result['matching']}条：\n\n```\n{result['text']}\n```"
    return f"{result['matching']} of {result['total']} entries match (levels: {levels}):\n\n```\n{result['text']}\n```"


def _tell_page(arguments: JSON, result: Any, language: Language) -> str:
    shown = result["text"][:3000]
    cut = "…" if len(result["text"]) > 3000 or result.get("truncated") else ""
    lead = (
        f"{result['url']}（状态{result['status']}）"
        if language == "zh"
        else f"{result['url']} (status {result['status']})"
    )
    return f"**{result.get('title') or lead}**\n\n{lead}\n\n{shown}{cut}"


_LOG = "2026-01-31 10:00:00 INFO started\n2026-01-31 10:00:05 ERROR disk is full\n2026-01-31 10:00:06 WARNING retrying"

SKILLS = (
    Skill(
        tool="parse_log_lines",
        topic=Topic(
            en="Log reader",
            zh="日志分析",
            category="data",
            words=r"\blogs?\b(?! ?in)|\blog (?:lines?|files?|entries)|\bstack ?traces?|日志|报错(?:行|信息)",
        ),
        asks=r"\b(?:show|list|find|filter|get|extract|count|only|which|how many)\b.*(?:errors?|warnings?|warns?|critical|log|entries|lines)|\blogs?\b|日志|报错|错误(?:行|条|信息|日志)|警告(?:行|条|信息)",
        weight=28,
        read=_logs,
        tell=_tell_logs,
        examples={
            "en": (Example(f"Show errors in:\n{_LOG}", ("disk is full", "1 of 3")),),
            "zh": (Example(f"列出日志中的错误：\n{_LOG}", ("disk is full",)),),
        },
    ),
    Skill(
        tool="extract_entities",
        topic=Topic(
            en="Data extractor",
            zh="信息提取",
            category="data",
            words=r"\b(?:extract|find|list|pull|collect|detect|recogni[sz]e)\w*\b.*\b(?:e-?mails?|urls?|links?|phones?|ips?|ip addresses|dates|numbers|uuids?|web addresses)\b|(?:提取|抽取|找出|识别|列出).*(?:邮箱|邮件|网址|链接|电话|手机|IP|日期|数字)",
        ),
        asks=rf"(?:{_LOOKING}).*(?:{'|'.join(_KINDS.values())})|(?:{'|'.join(_KINDS.values())}).*(?:提取|找出|列出)",
        weight=27,
        read=_entities,
        tell=_tell_found,
        examples={
            "en": (
                Example(
                    "Extract all emails from: write to ann@example.com or bob@example.org",
                    ("ann@example.com", "bob@example.org"),
                ),
            ),
            "zh": (
                Example("提取所有邮箱：请联系ann@example.com或bob@example.org", ("ann@example.com", "bob@example.org")),
            ),
        },
    ),
    Skill(
        tool="extract_pattern",
        topic=Topic(
            en="Pattern search",
            zh="正则提取",
            category="data",
            words=r"\bregex|\bregular expression|\bpattern (?:search|match)|\bmatch\w* (?:a )?patterns?|正则|模式匹配",
        ),
        asks=r"\bregex|\bregular expression|\bpattern|\bmatch|正则|匹配",
        weight=32,
        read=_pattern,
        tell=_tell_found,
        examples={
            "en": (Example("Find the regex /INV-\\d+/ in: paid INV-17 and INV-23", ("INV-17", "INV-23")),),
            "zh": (Example("用正则/INV-\\d+/匹配：已付INV-17和INV-23", ("INV-17", "INV-23")),),
        },
    ),
    Skill(
        tool="http_get",
        topic=Topic(
            en="Web reader",
            zh="网页读取",
            category="web",
            words=r"\bweb ?(?:pages?|sites?)|\burls?\b(?! slug)(?=.*\b(?:read|fetch|open|content|check|get)\w*)|\b(?:read|fetch|open|download|scrape)\w*\b.*\b(?:urls?|links?|pages?|sites?|http)|\bhttps?\b|网页|网站|抓取",
        ),
        asks=r"https?://",
        weight=26,
        read=_page,
        tell=_tell_page,
    ),
)
