"""Dates and times: distances, additions, weekdays, the present time, time zones."""

import re
from typing import Any

from nexus.adapters.offline.language.dates import dates_in, without_dates
from nexus.adapters.offline.language.numbers import NUMBER, number
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.adapters.offline.skills.told import sentences, text_of
from nexus.domain.builds.outputs import Language
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import JSON, ToolSpec
from nexus.domain.tools.library.moments import zone_of

_SPANS = {
    "business_days": r"business days?|working days?|workdays?|weekdays?|个?工作日", "days": r"days?\b|天|日", "weeks": r"weeks?\b|周|星期|个星期",
    "months": r"months?\b|个?月", "years": r"years?\b|年",
}  # fmt: skip
_BACK = r"\bbefore\b|\bago\b|\bearlier\b|\bminus\b|\bsubtract|\bback\b|之?前|以前|减"
_CLOCK_TIME = re.compile(r"(?<![\d-])(\d{1,2}:\d{2}(?:\s?[ap]\.?m\.?)?|\d{1,2}\s?[ap]\.?m\.?)(?![\d])", re.IGNORECASE)
_CLOCK_ZH = re.compile(r"(上午|下午|晚上|早上|中午)?\s*(\d{1,2})[点时](?:(\d{1,2})分?|(半))?")
_ZONE_BEFORE = re.compile(
    r"(?:\bin|\bto|\binto|\bfrom|\bis it in|\bat)\s+((?:UTC|GMT)\s?[+-]\d{1,2}(?::\d\d)?|[A-Za-z]+(?:[/_ ][A-Za-z_]+){0,2})",
    re.IGNORECASE,
)


def _difference(said: Said, tool: ToolSpec) -> list[Reading]:
    found = [one.iso for one in dates_in(said.plain, said.today)]
    if said.previous is not None:
        start, end = str(said.previous.get("start", "")), str(said.previous.get("end", ""))
        return [
            Reading(
                {"start": found[0], "end": found[1]}
                if len(found) > 1
                else {"start": start, "end": found[0] if found else end}
            )
        ]
    if len(found) == 1 and not re.search(r"\buntil\b|\btill\b|\bleft\b|还有|离|距", said.plain, re.IGNORECASE):
        return [Reading({"start": found[0]}, ("end",))]
    return [Reading({"start": found[0], "end": found[1]})] if len(found) > 1 else []


def _until(said: Said, tool: ToolSpec) -> list[Reading]:
    found = [one.iso for one in dates_in(said.plain, said.today)]
    return [Reading({"day": found[0]})] if len(found) == 1 else []


def _addition(said: Said, tool: ToolSpec) -> list[Reading]:
    """`10 business days after 2026-01-31`, `add 2 months and 3 days to …`; from today when no date is named."""
    found = dates_in(said.plain, said.today)
    text, amounts = without_dates(said.plain, said.today), JSON()
    for name, words in _SPANS.items():
        if match := re.search(rf"({NUMBER})\s*(?:{words})", text, re.IGNORECASE):
            value = number(match[1])
            if isinstance(value, int):
                amounts[name] = -abs(value) if re.search(_BACK, text, re.IGNORECASE) else value
            text = text[: match.start()] + " " * len(match[0]) + text[match.end() :]
    if said.previous is not None:
        kept = (
            {name: value for name, value in said.previous.items() if name not in _SPANS} if amounts else said.previous
        )
        return [Reading({**kept, **amounts, **({"start": found[0].iso} if found else {})})]
    return [Reading({"start": found[0].iso if found else said.today.isoformat(), **amounts})] if amounts else []


def _weekday(said: Said, tool: ToolSpec) -> list[Reading]:
    found = dates_in(said.plain, said.today)
    return [Reading({"day": one.iso}) for one in found] or [Reading({}, ("day",))]


def _now(said: Said, tool: ToolSpec) -> list[Reading]:
    zones = _zones(said.text)
    return [Reading({"timezone": zone}) for zone in zones] or [Reading({})]


def _zone_change(said: Said, tool: ToolSpec) -> list[Reading]:
    clock, zones = _clock(said.plain), _zones(said.text)
    if said.previous is not None:
        changed = {"time": _moment(said, clock)} if clock else {}
        return [Reading({**said.previous, **changed, **({"to_zone": zones[-1]} if zones else {})})]
    if not clock or not zones:
        return []
    if len(zones) < 2:
        return [Reading({"time": _moment(said, clock), "from_zone": zones[0]}, ("to_zone",))]
    return [Reading({"time": _moment(said, clock), "from_zone": zones[0], "to_zone": zones[1]})]


def _moment(said: Said, clock: str) -> str:
    day = next((one.iso for one in dates_in(said.plain, said.today)), said.today.isoformat())
    return f"{day} {clock}"


def _clock(text: str) -> str | None:
    if found := _CLOCK_TIME.search(text):
        hour, minute = (int(part or 0) for part in (re.match(r"(\d+)(?::(\d+))?", found[1]) or found).groups())
        half = found[1].lower()
        return _written(hour, minute, later="p" in half, half="a" in half or "p" in half)
    if found := _CLOCK_ZH.search(text):
        return _written(
            int(found[2]),
            30 if found[4] else int(found[3] or 0),
            later=found[1] in ("下午", "晚上"),
            half=bool(found[1]),
        )
    return None


def _written(hour: int, minute: int, *, later: bool, half: bool) -> str:
    return f"{hour % 12 + 12 * later if half and hour <= 12 else hour:02d}:{minute:02d}"


def _zones(text: str) -> list[str]:
    """Time zones and cities in order: after `in`, `to` or `from`, capitalised words, and Chinese cities before 时间."""
    found: list[tuple[int, str]] = []
    candidates = [(match.start(1), match[1]) for match in _ZONE_BEFORE.finditer(text)]
    candidates += [
        (match.start(), match[0])
        for match in re.finditer(
            r"\b(?:UTC|GMT)(?:\s?[+-]\d{1,2}(?::\d\d)?)?|\b[A-Z][a-z]+/[A-Z][A-Za-z_]+|\b(?:[A-Z][a-z]+ ?){1,2}|\b[A-Z]{3,4}\b",
            text,
        )
    ]
    candidates += [
        (at, text[at : at + size])
        for size in (4, 3, 2)
        for at in range(len(text) - size + 1)
        if re.fullmatch(r"[一-鿿]+", text[at : at + size])
    ][:400]
    for start, name in candidates:
        zone = _zone(name)
        if zone and not any(start < at + len(other) and at < start + len(zone) for at, other in found):
            found.append((start, zone))
    return [zone for _, zone in sorted(found)]


def _zone(name: str) -> str | None:
    """The longest beginning of the words that is a time zone."""
    words = name.strip().removesuffix("时间").split(" ")
    while words:
        try:
            zone_of(" ".join(words))
            return " ".join(words)
        except InvalidInput:
            words.pop()
    return None


def _tell_now(arguments: JSON, result: Any, language: Language) -> str:
    if language == "zh":
        return f"{result['timezone']}现在是**{result['date']} {result['clock']}**，{result['weekday_zh']}。"
    return f"In {result['timezone']} it is **{result['date']} {result['clock']}**, {result['weekday']}."


def _tell_zone(arguments: JSON, result: Any, language: Language) -> str:
    return text_of(result, language)


SKILLS = (
    Skill(
        tool="date_difference",
        topic=Topic(
            en="Date calculator",
            zh="日期计算",
            category="dates",
            words=r"\bdates?\b(?! of birth| range filter)|\bdays? (?:between|from|until)|\bdeadlines?\b|\bcalendar|\bschedul\w+ dates|\bbusiness days|日期|天数|相差.*天|工作日|日程|截止",
        ),
        asks=r"\bbetween\b|\bdays?\b|\bweeks?\b|\bhow long|\bdifference|\buntil\b|多少天|几天|相差|间隔|多久|天数|工作日",
        weight=16,
        read=_difference,
        tell=sentences(
            en="From {start} to {end} there are **{days} days** ({weeks} weeks, {business_days} business days).",
            zh="从{start}到{end}共**{days}天**（{weeks}周，{business_days}个工作日）。",
        ),
        examples={
            "en": (Example("How many days between 2026-01-31 and 2026-03-01?", ("29",)),),
            "zh": (Example("2026-01-31到2026-03-01相差多少天？", ("29",)),),
        },
    ),
    Skill(
        tool="add_to_date",
        topic=Topic(
            en="Date arithmetic",
            zh="日期加减",
            category="dates",
            words=r"\badd\w* (?:days|weeks|months|time)|\bdate plann|\bplans? dates|\bdue dates?|\bdeadlines?\b|\bdates?\b.*\b(?:add|later|after)|\bafter a date|日期(?:计算|加减|规划|推算)|推算|到期|加减.*(?:天|日期)|几天后|截止",
        ),
        asks=r"\badd\b|\bin \d+ (?:business |working )?(?:days?|weeks?|months?|years?)\b|\bafter\b|\bfrom (?:now|today|20)|\bbefore\b|\bago\b|\blater\b|\bplus\b|\bsubtract|之?后|以后|之?前|加上?|减去?|再过",
        weight=14,
        read=_addition,
        tell=sentences(
            en="Counted from {start}, that is **{date}**, a {weekday}.",
            zh="从{start}起算，是**{date}**，{weekday_zh}。",
        ),
        examples={
            "en": (Example("What date is 10 business days after 2026-01-30?", ("2026-02-13",)),),
            "zh": (Example("2026-01-30之后10个工作日是哪天？", ("2026-02-13",)),),
        },
    ),
    Skill(
        tool="weekday_of",
        topic=Topic(
            en="Weekdays", zh="星期查询", category="dates", words=r"\bweekdays?\b|\bday of (?:the )?week|星期|周几"
        ),
        asks=r"\bweekday|(?:明|昨|后|前)天.*(?:几号|日期|几月)|\bdate\b.*\b(?:tomorrow|yesterday)|\bday of (?:the )?week|\b(?:what|which) day\b|星期几|周几|礼拜几",
        weight=18,
        read=_weekday,
        tell=sentences(
            en="{date} is a **{weekday}** (week {iso_week}).", zh="{date}是**{weekday_zh}**（{iso_week}周）。"
        ),
        examples={
            "en": (Example("What weekday is 2026-03-01?", ("Sunday",)),),
            "zh": (Example("2026年3月1日是星期几？", ("星期日",)),),
        },
    ),
    Skill(
        tool="days_until",
        topic=Topic(
            en="Countdown",
            zh="倒计时",
            category="dates",
            words=r"\bcount(?:s|ing)?\W?down|\bdays? (?:until|left|till|to go)|倒计时|倒数|还有(?:多少|几)天|距离.*天",
        ),
        asks=r"\buntil\b|\btill\b|\bcountdown|\bdays left\b|\bhow many days to\b|还有|距离?|倒计时|倒数",
        weight=17,
        read=_until,
        tell=sentences(
            en="Today is {today}: **{days} days** until {date}.", zh="今天是{today}，距离{date}还有**{days}天**。"
        ),
        examples={
            "en": (Example("How many days until 2099-12-25?", ("2099-12-25", "days")),),
            "zh": (Example("距离2099年12月25日还有多少天？", ("2099-12-25", "天")),),
        },
    ),
    Skill(
        tool="current_time",
        topic=Topic(
            en="Present time",
            zh="当前时间",
            category="dates",
            words=r"\b(?:current|present|local) (?:time|date)|\bwhat time|\btells? the time|\bworld clock|\btoday'?s date|当前时间|现在几点|世界时钟|报时|今天(?:的)?日期",
        ),
        asks=r"\bwhat(?:'s| is)? (?:the )?(?:current )?(?:time|date)\b(?! is \d{4})(?!.*\d{4}-)|\bcurrent (?:time|date)|\btime in\b|\btime is it|\btoday'?s date|\btime now|现在.*(?:几点|时间)|几点了|当前时间|今天(?:是)?(?:几号|几月|什么日子|日期)",
        weight=13,
        read=_now,
        tell=_tell_now,
        examples={"en": (Example("What time is it in UTC?", ("UTC",)),), "zh": (Example("UTC现在几点？", ("UTC",)),)},
    ),
    Skill(
        tool="convert_time_zone",
        topic=Topic(en="Time zones", zh="时区换算", category="dates", words=r"\btime.?zones?\b|时区|时差"),
        asks=r"\d{1,2}:\d\d|\d\s?[ap]\.?m\b|\d[点时]",
        weight=17,
        read=_zone_change,
        tell=_tell_zone,
        examples={
            "en": (Example("What is 2026-01-15 14:30 UTC in Tokyo?", ("23:30",)),),
            "zh": (Example("北京时间2026年1月15日14:30是纽约的几点？", ("01:30",)),),
        },
    ),
)
