"""Units of measure: finds every quantity of a message and the unit it is wanted in."""

import re
from typing import Any, NamedTuple

from nexus.adapters.offline.language.numbers import NUMBER, number, shown
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.domain.builds.outputs import Language
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import JSON, ToolSpec
from nexus.domain.tools.library.units import unit_named

_TO = re.compile(
    r"\s*(?:is|are|equals?|=)?\s*(?:to|into|in|as|=|->|→|(?:等于|相当于|合|是|有|换算|转换|转化|变)?(?:成|为|到|多少|几)?(?:个)?)\s*(?:how many\s+)?",
    re.IGNORECASE,
)
_FIRST = re.compile(r"(?:how many|how much|many|多少|几)\s*", re.IGNORECASE)
_MORE = re.compile(r"\s*(?:,|and|、|和|,\s*and)\s*(?:in(?:to)?\s+|to\s+)?", re.IGNORECASE)
_LATIN = re.compile(r"[A-Za-zµμ°℃℉'\"][A-Za-zµμ°²³/^0-9]*(?:[ -][A-Za-z]+){0,2}")
_CJK = re.compile(r"[一-鿿/]{1,6}")
_SINGLE = re.compile(r"\b(?:an?|one)\s+", re.IGNORECASE)
_WORTHLESS = ("to", "as", "is", "are", "a", "the", "and", "how", "b", "元", "e", "pi", "个", "times")


class _Quantity(NamedTuple):
    value: float
    unit: str
    start: int
    end: int


def unit_at(text: str, start: int) -> tuple[str, int] | None:
    """The longest unit name that begins there, and where it ends."""
    while start < len(text) and text[start] in " -":
        start += 1
    found = _LATIN.match(text, start) or _CJK.match(text, start)
    name = found[0] if found else ""
    while name:
        if name.lower() not in _WORTHLESS and _is_unit(name):
            return name, start + len(name)
        name = name[:-1] if _CJK.fullmatch(name) else name.rpartition(" ")[0] or name.rpartition("-")[0]
    return None


def _is_unit(name: str) -> bool:
    try:
        unit_named(name)
    except InvalidInput:
        return False
    return True


def _quantities(text: str) -> list[_Quantity]:
    found = []
    for match in re.finditer(NUMBER, text):
        if unit := unit_at(text, match.end()):
            found.append(_Quantity(number(match[0]), unit[0], match.start(), unit[1]))
    return found


def _kind(name: str) -> str:
    return unit_named(name).kind


def _targets(text: str, after: int) -> list[str]:
    """The unit that follows `to`, and further ones after `and`."""
    connected = _TO.match(text, after)
    unit = unit_at(text, connected.end()) if connected and connected.end() > after else None
    targets = []
    while unit:
        targets.append(unit[0])
        more = _MORE.match(text, unit[1])
        unit = unit_at(text, more.end()) if more else None
    return targets


def _before(text: str, until: int) -> str | None:
    """The unit asked for first: `how many miles are 10 km`."""
    for asked in _FIRST.finditer(text, 0, until):
        if unit := unit_at(text, asked.end()):
            return unit[0]
    return None


def _wanted_in(text: str, after: int) -> str | None:
    """The unit of `…, what is that in F?`."""
    named = (unit_at(text, match.end()) for match in re.compile(r"\b(?:in|to|into)\s+").finditer(text, after))
    return next((unit[0] for unit in named if unit), None)


def _counted(text: str) -> str:
    """`a mile` is `1 mile`."""
    return _SINGLE.sub(lambda found: "1 " if unit_at(text, found.end()) else found[0], text)


def _temperatures(text: str) -> str:
    """`摄氏100度` is `100摄氏度`; a bare `100 C` stays as it is."""
    return re.sub(rf"(摄氏|华氏)\s*({NUMBER})\s*度?", r"\2\1度", text)


def read(said: Said, tool: ToolSpec) -> list[Reading]:
    """Every quantity with each unit it is wanted in; a target said once is meant for all quantities of its kind."""
    text = _counted(_temperatures(said.plain))
    quantities = _quantities(text)
    if said.previous is not None:
        return _follow(text, quantities, said.previous)
    wanted = [_targets(text, one.end) for one in quantities]
    readings, later = [], next((targets for targets in reversed(wanted) if targets), [])
    for one, targets in zip(quantities, wanted, strict=True):
        asked = _before(text, one.start) or _before(text, len(text)) or _wanted_in(text, one.end)
        chosen = targets or later or ([asked] if asked else [])
        for target in chosen:
            if _kind(target) == _kind(one.unit):
                readings.append(Reading({"value": one.value, "from_unit": one.unit, "to_unit": target}))
    if not readings and quantities and re.search(r"\bconvert|换算|转换", text, re.IGNORECASE):
        return [Reading({"value": quantities[0].value, "from_unit": quantities[0].unit}, ("to_unit",))]
    return readings


def _follow(text: str, quantities: list[_Quantity], previous: JSON) -> list[Reading]:
    source, target = str(previous["from_unit"]), str(previous["to_unit"])
    if not quantities:
        found = re.search(NUMBER, text)
        named = [
            unit
            for match in re.finditer(r"\b(?:in|to|into|about)\b|成|到|为|换|是|多少|几", text)
            if (unit := unit_at(text, match.end()))
        ]
        asked = named[-1] if named else None
        if asked and _kind(asked[0]) == _kind(source):
            target = asked[0]
        value = number(found[0]) if found else previous["value"]
        return [Reading({"value": value, "from_unit": source, "to_unit": target})]
    readings = []
    for one in quantities:
        wanted = next(iter(_targets(text, one.end)), target)
        if unit_named(one.unit) == unit_named(wanted):
            wanted = source
        if _kind(one.unit) == _kind(wanted):
            readings.append(Reading({"value": one.value, "from_unit": one.unit, "to_unit": wanted}))
    return readings


def tell(arguments: JSON, result: Any, language: Language) -> str:
    value, source, target = float(result["value"]), result["from_unit"], result["to_unit"]
    answer = shown(
        round(float(result["result"]), 4)
        if abs(float(result["result"])) >= 1
        else float(f"{float(result['result']):.5g}")
    ).replace(",", "")
    lead = f"{shown(value).replace(',', '')} {source} = **{answer} {target}**"
    if result.get("kind") == "temperature" or not value:
        return lead + ("。" if language == "zh" else ".")
    factor = f"{float(result['result']) / value:.7g}"
    steps = f"1 {source} = {factor} {target}"
    if language == "zh":
        return f"{lead}。步骤：{steps}，所以 {shown(value).replace(',', '')} × {factor} = {answer}。"
    return f"{lead}. Steps: {steps}, so {shown(value).replace(',', '')} × {factor} = {answer}."


SKILLS = (
    Skill(
        tool="convert_units",
        topic=Topic(
            en="Unit converter", zh="单位换算", category="conversion",
            words=r"\bunits?\b(?! tests?)|\bconver\w*\b.*\b(?:measure\w*|lengths?|weights?|distances?|temperatures?|kilomet\w+|miles?|km|kg|grams?|cups?|ounces?|lit(?:er|re)s?|gallons?|feet|inches|met(?:er|re)s?|yards?|pounds?|celsius|fahrenheit|volumes?|metric)\b|\bmetric\b|\bimperial\b|单位|(?<!时区)(?<!时间)(?<!汇率)(?<!货币)(?<!进制)换算(?!成?人民币)|度量|(?:长度|重量|温度|面积|体积).*转换|摄氏|华氏",
        ),
        asks=r"\d|\b(?:an?|one)\s",
        weight=15,
        read=read,
        tell=tell,
        examples={
            "en": (Example("Convert 10 km to miles", ("6.2137",)), Example("How many pounds are 5 kg?", ("11.0231",))),
            "zh": (Example("把10公里换算成英里", ("6.2137",)), Example("5公斤是多少磅？", ("11.0231",))),
        },
    ),
)  # fmt: skip
