"""Texts: statistics, summaries by statistics, keywords, letter case, lists of values."""

import re
from typing import Any

from nexus.adapters.offline.language.numbers import NUMBER, number
from nexus.adapters.offline.language.script import instruction, payload, quoted
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.adapters.offline.skills.told import sentences
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON, ToolSpec

_COMMAND = re.compile(
    r"^\s*(?:please\s+|can you\s+|请|帮我)*(?:summari[sz]e|shorten|extract (?:the )?keywords(?: from| of)?|keywords of|count (?:the )?words(?: in)?|总结|概括|摘要|提取关键词)"
    r"(?:\s+(?:this|the following|it)?(?:\s*(?:text|article|paragraph))?)?(?:\s*(?:in|to|into|用|成)\s*\d+\s*(?:个)?(?:sentences?|句话?))?\s*(?:一下)?[,，.。]?\s*",
    re.IGNORECASE,
)
_STYLES = {
    "snake": r"snake|下划线",
    "kebab": r"kebab|连字符",
    "camel": r"camel|驼峰",
    "title": r"\btitle|首字母大写",
    "sentence": r"sentence case",
    "lower": r"lower|小写",
    "upper": r"upper|capital|大写",
}


def material(said: Said) -> str:
    """The text that a question is about: behind the first colon or line break, in quotation marks, or behind the command."""
    text = payload(said.text) or max(quoted(said.text), key=len, default="")
    if text:
        return text
    rest = _COMMAND.sub("", said.text, count=1).strip()
    return rest if rest != said.text.strip() and len(rest) > 20 else ""


def _with_text(said: Said, count: str | None = None, pattern: str = "") -> list[Reading]:
    arguments: JSON = dict(said.previous or {})
    text = material(said)
    if text:
        arguments["text"] = text
    found = re.search(pattern, Said.of(instruction(said.text), said.today).plain, re.IGNORECASE) if count else None
    if count and found:
        arguments[count] = int(number(next(group for group in found.groups() if group)))
    return [Reading(arguments, () if "text" in arguments else ("text",))]


def _summary(said: Said, tool: ToolSpec) -> list[Reading]:
    return _with_text(
        said, "sentence_count", rf"({NUMBER})\s*(?:key |short |main )?(?:sentences?|句|lines?)|(?:in|to)\s+({NUMBER})\b"
    )


def _keywords(said: Said, tool: ToolSpec) -> list[Reading]:
    return _with_text(
        said,
        "limit",
        rf"({NUMBER})\s*(?:most important |main |top )?(?:key\s?words?|个?关键[词字]|topics)|top\s+({NUMBER})",
    )


def _statistics(said: Said, tool: ToolSpec) -> list[Reading]:
    return _with_text(said)


def _case(said: Said, tool: ToolSpec) -> list[Reading]:
    style = next(
        (style for style, words in _STYLES.items() if re.search(words, instruction(said.text), re.IGNORECASE)), None
    )
    found = _with_text(said)[0]
    behind = re.search(
        r"(?:convert|turn|change|write|make|把|将)\s*(.+?)\s*(?:\bto\b|\bin\b|\binto\b|转|变|改|写)",
        said.text,
        re.IGNORECASE,
    )
    if "text" not in found.arguments and behind:
        found = Reading({**found.arguments, "text": behind[1]})
    return [Reading({**found.arguments, **({"style": style} if style else {})}, found.missing)]


def _list(said: Said, tool: ToolSpec) -> list[Reading]:
    """The entries behind the colon, by lines or commas."""
    text = payload(said.text)
    items = [part.strip() for part in re.split(r"\n|[,，、;；]", text) if part.strip()]
    arguments: JSON = dict(said.previous or {}) | ({"items": items} if items else {})
    if re.search(r"descend|reverse|largest first|z.a\b|降序|从大到小|倒序", said.text, re.IGNORECASE):
        arguments["descending"] = True
    if re.search(r"uniq|duplicat|distinct|去重|不重复", said.text, re.IGNORECASE):
        arguments["unique"] = True
    return [
        Reading(
            {name: value for name, value in arguments.items() if name in tool.parameters["properties"]},
            () if "items" in arguments else ("items",),
        )
    ]


def _tell_summary(arguments: JSON, result: Any, language: Language) -> str:
    lines = "\n".join(f"- {sentence}" for sentence in result["sentences"])
    if language == "zh":
        return f"按词频从{result['of']}句中选出最能概括的{len(result['sentences'])}句（原句，未改写）：\n\n{lines}"
    return f"The most telling {len(result['sentences'])} of {result['of']} sentences, picked by word frequency and quoted as they are:\n\n{lines}"


def _tell_keywords(arguments: JSON, result: Any, language: Language) -> str:
    listed = [f"{entry['keyword']} ({entry['count']})" for entry in result["keywords"]]
    return ("关键词（出现次数）：" if language == "zh" else "Keywords (how often each occurs): ") + (
        "、" if language == "zh" else ", "
    ).join(listed)


_EN = "Rain fell on the city. The city streets were wet with rain. Birds sang. Rain in the city stopped at noon."
_ZH = "城市下雨了。城市的街道被雨水打湿。鸟儿在唱歌。城市的雨中午停了。"

SKILLS = (
    Skill(
        tool="summarize_by_statistics",
        topic=Topic(
            en="Text summary",
            zh="文本摘要",
            category="text",
            words=r"\bsummar|\bshorten|\btl;?dr|\bdigests?\b|摘要|总结|概括|概述",
        ),
        asks=r"\bsummar|\bshorten|\btl;?dr|\bkey points|摘要|总结|概括",
        weight=30,
        read=_summary,
        tell=_tell_summary,
        examples={
            "en": (Example(f"Summarize in 2 sentences: {_EN}", ("city", "rain")),),
            "zh": (Example(f"用2句话总结：{_ZH}", ("城市",)),),
        },
    ),
    Skill(
        tool="extract_keywords",
        topic=Topic(
            en="Keywords",
            zh="关键词提取",
            category="text",
            words=r"\bkey ?words?\b|\bkey phrases|\btopics? (?:words|of a text)|\btags?\b (?:for|of|from)|关键词|关键字",
        ),
        asks=r"\bkey ?words?\b|\bkey phrases|\btags\b|关键词|关键字",
        weight=31,
        read=_keywords,
        tell=_tell_keywords,
        examples={
            "en": (Example(f"Extract 3 keywords from: {_EN}", ("rain", "city")),),
            "zh": (Example(f"提取3个关键词：{_ZH}", ("城市",)),),
        },
    ),
    Skill(
        tool="text_statistics",
        topic=Topic(
            en="Text statistics",
            zh="文本统计",
            category="text",
            words=r"\btext statistics|\bword counts?\b|\bcount\w* (?:the )?(?:words|characters|sentences)|\breading time|\btext length|\bword frequenc|文本统计|字数|词数|阅读时间|词频|统计文本",
        ),
        asks=r"\btext statistics|\bstatistics (?:of|for|on)\b|\bhow many (?:words|characters|sentences|letters)|\bcount (?:the )?(?:words|characters|sentences|letters)|\bword count|\breading time|字数|多少(?:个)?字|词频|阅读时间|统计文本|文本统计|统计(?:这段|以下|一下)",
        weight=29,
        read=_statistics,
        tell=sentences(
            en="**{words} words**, {characters} characters ({characters_without_spaces} without spaces), {sentences} sentences, {paragraphs} paragraphs, {lines} lines.",
            zh="**{words}个字词**，{characters}个字符（不含空格{characters_without_spaces}个），{sentences}个句子，{paragraphs}个段落，{lines}行。",
        ),
        examples={
            "en": (Example("Count the words in: the cat and the dog", ("5 words",)),),
            "zh": (Example("统计字数：你好世界", ("4个字词",)),),
        },
    ),
    Skill(
        tool="change_case",
        topic=Topic(
            en="Case converter",
            zh="大小写转换",
            category="text",
            words=r"\b(?:upper|lower|title|snake|camel)[\s_-]?case|\bletter case|\bcapitali[sz]|\bcase conver|\bchang\w+ (?:the )?case|大小写|大写字母|驼峰",
        ),
        asks=r"\b(?:upper|lower|title|snake|camel|kebab|sentence)[\s_-]?case|\bcapitali[sz]|大写|小写|驼峰",
        weight=25,
        read=_case,
        tell=sentences(en="In that style: **{text}**", zh="转换后：**{text}**"),
        examples={
            "en": (Example('Convert "hello big world" to snake case', ("hello_big_world",)),),
            "zh": (Example("把“hello world”转换成大写", ("HELLO WORLD",)),),
        },
    ),
    Skill(
        tool="sort_list",
        topic=Topic(
            en="List sorter",
            zh="列表排序",
            category="text",
            words=r"\bsort(?:s|ing)?\b.*\b(?:lists?|lines|names|words|items|numbers)|\balphabeti[sz]|\bdeduplicat|排序|去重",
        ),
        asks=r"\bsort|\balphabet|\bdeduplicat|\bremove duplicates|排序|去重",
        weight=20,
        read=_list,
        tell=sentences(en="Sorted ({count} entries):\n\n{text}", zh="排序结果（{count}项）：\n\n{text}"),
        examples={
            "en": (Example("Sort these names: pear, apple, fig", ("apple\nfig\npear",)),),
            "zh": (Example("排序：pear，apple，fig", ("apple\nfig\npear",)),),
        },
    ),
    Skill(
        tool="count_values",
        topic=Topic(
            en="Value counter",
            zh="计数",
            category="text",
            words=r"\btall(?:y|ies)\b|\bcount\w* (?:how often|values|votes|items|occurrences)|\bfrequenc(?:y|ies) of (?:values|items)|计数|出现次数|票数",
        ),
        asks=r"\btally|\bhow often|\bcount (?:the )?(?:values|votes|items|occurrences)|\bfrequency|计数|次数|票数",
        weight=20,
        read=_list,
        tell=sentences(
            en="{total} values, {distinct} different ones:\n\n{text}", zh="共{total}个值，{distinct}种：\n\n{text}"
        ),
        examples={
            "en": (Example("Count the votes: red, blue, red", ("red: 2",)),),
            "zh": (Example("统计次数：红，蓝，红", ("红: 2",)),),
        },
    ),
)
