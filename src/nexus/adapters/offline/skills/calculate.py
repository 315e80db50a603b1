"""Arithmetic in the middle of a sentence, lists of numbers, and change in per cent."""

import re

from nexus.adapters.offline.language.numbers import plain
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.adapters.offline.skills.told import sentences
from nexus.domain.ports.models import ToolSpec

_FUNCTION = r"(?:sqrt|cbrt|abs|round|floor|ceil|min|max|sum|mean|median|log2|log|ln|exp|sin|cos|tan|factorial|gcd|lcm|comb)\s*\("
_PART = rf"(?:{_FUNCTION}|\d[\d,]*(?:\.\d+)?|[-+*/^%()!,x]|\*\*|\bof\b|\bplus\b|\bminus\b|\btimes\b|\bdivided by\b|\bmultiplied by\b|\bpi\b|乘以?|除以|加上?|减去?|的(?=平方|立方)|平方|立方|\s)"
_EXPRESSION = re.compile(rf"(?:{_PART})+", re.IGNORECASE)
_OPERATOR = re.compile(
    rf"[-+*/^%!x]|\bof\b|\bplus\b|\bminus\b|\btimes\b|\bdivided by\b|\bmultiplied by\b|[乘除加减]|平方|立方|{_FUNCTION}",
    re.IGNORECASE,
)
_ROOT = re.compile(r"(?:the )?square root of\s+(\d[\d.]*)|(\d[\d.]*)的平方根|根号\s*(\d[\d.]*)", re.IGNORECASE)
_PERCENT_OF = re.compile(r"(\d[\d.]*)\s*的\s*(\d[\d.]*)\s*%")


def _spoken(text: str) -> str:
    text = _ROOT.sub(lambda found: f"sqrt({next(group for group in found.groups() if group)})", text)
    text = re.sub(r"(\d[\d.]*)\s*的\s*(\d+)\s*次方", r"\1^\2", text)
    text = _PERCENT_OF.sub(r"\2% of \1", text)
    return re.sub(r"\bsquared\b", "^2", re.sub(r"\bcubed\b", "^3", text, flags=re.IGNORECASE), flags=re.IGNORECASE)


def expression_in(text: str) -> str | None:
    """The longest arithmetic of a text; dates and lone numbers are none."""
    text = re.sub(r"\d{4}-\d{1,2}-\d{1,2}", " ? ", _spoken(text))
    runs = [match[0] for match in _EXPRESSION.finditer(text)]
    found = [
        _trimmed(part)
        for run in runs
        for part in ([run] if re.search(_FUNCTION, run, re.IGNORECASE) else run.split(","))
    ]
    whole = [
        one
        for one in found
        if re.search(r"\d", one)
        and _OPERATOR.search(one)
        and re.search(r"\d.*\d|\d!|\(|[\^%]", one)
        and not re.fullmatch(r"[-+]?\d[\d.,]*\s*%?", one)
    ]
    return max(whole, key=len, default=None)


def _trimmed(text: str) -> str:
    """Without what cannot begin or end an expression, and without brackets that have no partner."""
    text = re.sub(r"^(?:\s|[,/*^%!x]|\bof\b)+|(?:\s|[-+,/*^(x]|\bof\b)+$", "", text.strip(), flags=re.IGNORECASE)
    while text.endswith(")") and text.count(")") > text.count("("):
        text = text[:-1].rstrip()
    return text


def read(said: Said, tool: ToolSpec) -> list[Reading]:
    found = expression_in(said.plain)
    return [Reading({"expression": found})] if found else []


def _statistics(said: Said, tool: ToolSpec) -> list[Reading]:
    numbers = [
        float(one) if "." in one else int(one)
        for one in re.findall(
            r"(?<![A-Za-z0-9_.])-?\d{1,30}(?:\.\d{1,30})?(?![A-Za-z0-9_])",
            re.sub(r"[,，、;；]", " ", plain(re.sub(r",(?=\d)", ", ", said.text))),
        )
    ]
    return [Reading({"numbers": numbers})] if len(numbers) > 1 else []


SKILLS = (
    Skill(
        tool="calculate",
        topic=Topic(
            en="Calculator",
            zh="计算器",
            category="math",
            words=r"\bcalculator|\barithmetic|\bmath\w*\b|\bcalculat\w+ (?:expressions?|sums?|numbers?|formulas?|percent\w*|results?)|\bequations?\b|\bpercentages?\b|\bsums? of numbers|\bsolves? (?:math|sums)|计算器|算术|四则|数学|加减乘除|表达式|百分比(?!变化)",
        ),
        asks=r"\d",
        weight=5,
        read=read,
        tell=sentences(en="{expression} = **{result}**", zh="{expression} = **{result}**"),
        examples={
            "en": (Example("What is (3+4)*2^3?", ("56",)), Example("What is 15% of 80?", ("12",))),
            "zh": (Example("(3+4)*2^3等于多少？", ("56",)), Example("80的15%是多少？", ("12",))),
        },
    ),
    Skill(
        tool="percent_change",
        topic=Topic(
            en="Percent change",
            zh="百分比变化",
            category="math",
            words=r"\bpercent(?:age)?s? (?:change|increase|decrease|growth)|\bgrowth rates?|增长率|涨幅|变化率|百分比变化|同比|环比",
        ),
        asks=r"percent\w* (?:change|increase|decrease)|\bgrowth|% (?:change|increase|decrease)|增长|涨幅|变化率|百分比变化|下降",
        weight=15,
        cues={"before": (r"(?:from|从|由)\s*({n})",), "after": (r"(?:to|到|为|涨到|降到)\s*({n})",)},
        tell=sentences(
            en="From {before} to {after} is a change of **{text}** (the difference is {difference}).",
            zh="从{before}到{after}，变化**{text}**（相差{difference}）。",
        ),
        examples={
            "en": (Example("What is the percent change from 80 to 100?", ("25",)),),
            "zh": (Example("从80到100的增长率是多少？", ("25",)),),
        },
    ),
    Skill(
        tool="number_statistics",
        topic=Topic(
            en="Number statistics",
            zh="数字统计",
            category="math",
            words=r"\baverages?\b(?! speed)(?!.*\b(?:csv|columns?|tables?|spreadsheets?)\b)|\bmedians?\b|\bstandard deviation|\bmean\b.*\bnumbers|\bgrades?\b|\bgpa\b|平均|中位数|标准差",
        ),
        asks=r"\baverage|\bmean\b|\bmedian|standard deviation|\bstatistics? (?:of|for)\s+-?\d|平均|中位数|标准差",
        weight=15,
        read=_statistics,
        tell=sentences(
            en="Of {count} numbers: mean **{mean}**, median **{median}**, sum {sum}, least {min}, largest {max}.",
            zh="{count}个数：平均值**{mean}**，中位数**{median}**，总和{sum}，最小{min}，最大{max}。",
        ),
        examples={
            "en": (Example("What is the average of 80, 90 and 100?", ("90",)),),
            "zh": (Example("80、90、100的平均值是多少？", ("90",)),),
        },
    ),
)
