"""CSV and JSON pasted into a message: which columns are meant, and what is wanted of them."""

import csv
import re
from typing import Any

import msgspec

from nexus.adapters.offline.skills.columns import columns_of, mention, query, split
from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.adapters.offline.skills.told import table, text_of, value_of
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON, ToolSpec


def read_query(said: Said, tool: ToolSpec) -> list[Reading]:
    """A query over the block in the message, or over the block of an earlier one."""
    asked, block = split(said.text)
    block = block or str((said.previous or {}).get("csv_text", ""))
    if not block:
        return [Reading({}, ("csv_text",))]
    return [Reading({"csv_text": block, **query(asked, block)})]


def read_description(said: Said, tool: ToolSpec) -> list[Reading]:
    block = split(said.text)[1] or str((said.previous or {}).get("csv_text", ""))
    return [Reading({"csv_text": block} if block else {}, () if block else ("csv_text",))]


def read_json(said: Said, tool: ToolSpec) -> list[Reading]:
    """The document in the message, and the path that is asked for: written as one, or as `the name of the customer`."""
    found = re.match(r"[^\[{]*([\[{].*[\]}])", said.text, re.DOTALL)
    document = found[1] if found and _is_json(found[1]) else str((said.previous or {}).get("json_text", ""))
    if not document:
        return [Reading({}, ("json_text",))]
    asked = said.text.replace(document, " ") if found else said.text
    path = re.search(r"(?<![\w.])((?:\w+|\$)(?:\.\w+|\[(?:\d+|\*|-\d+)\])+)", asked, re.ASCII)
    return [Reading({"json_text": document, "path": path[1] if path else _path(asked, msgspec.json.decode(document))})]


def _path(asked: str, value: Any, prefix: str = "") -> str:
    """The deepest key that the question names."""
    children = (
        value.items() if isinstance(value, dict) else [("[*]", value[0])] if isinstance(value, list) and value else []
    )
    for key, child in children:
        here = f"{prefix}{key}" if key == "[*]" or not prefix else f"{prefix}.{key}"
        if deeper := _path(asked, child, here):
            return deeper
        if key != "[*]" and mention(str(key), asked):
            return here
    return ""


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def read_rows(said: Said, tool: ToolSpec) -> list[Reading]:
    block = split(said.text)[1]
    found = re.match(r"[^\[]*(\[\s*\{.*\}\s*\])", said.text, re.DOTALL)
    if found and _is_json(found[1]):
        return [Reading({"rows": msgspec.json.decode(found[1])})]
    if not block:
        return [Reading({}, ("rows",))]
    mark = max(",;\t|", key=block.split("\n", 1)[0].count)
    return [
        Reading(
            {
                "rows": [
                    dict(zip(columns_of(block), (cell.strip() for cell in row), strict=False))
                    for row in list(csv.reader(block.split("\n"), delimiter=mark))[1:]
                ]
            }
        )
    ]


def tell_query(arguments: JSON, result: Any, language: Language) -> str:
    rows = next(
        (value for value in result.values() if isinstance(value, list) and all(isinstance(row, dict) for row in value)),
        [],
    )
    steps = (
        [f"where {condition}" for condition in arguments.get("where", [])]
        + [f"group by {column}" for column in arguments.get("group_by", [])]
        + list(arguments.get("aggregate", []))
    )
    how = (
        ("（步骤：" if language == "zh" else "Steps: ") + ", ".join(steps) + ("）" if language == "zh" else ".")
        if steps
        else ""
    )
    if not rows:
        return text_of(result, language)
    if len(rows) == 1 and len(rows[0]) <= 2:
        return (
            ", ".join(f"{name} = **{value_of(value, language)}**" for name, value in rows[0].items())
            + f"\n\n{how}".rstrip()
        )
    return table(rows, 50) + f"\n\n{how}".rstrip()


def tell_description(arguments: JSON, result: Any, language: Language) -> str:
    lead = (
        f"{result['rows']}行，{len(result['columns'])}列："
        if language == "zh"
        else f"{result['rows']} rows, {len(result['columns'])} columns:"
    )
    return lead + "\n\n" + table(result["columns"], 200)


_CSV = "region,amount\nnorth,10\nsouth,5\nnorth,7"

SKILLS = (
    Skill(
        tool="query_csv",
        topic=Topic(
            en="CSV analyst",
            zh="CSV分析",
            category="data",
            words=r"\bcsv\b|\bspreadsheets?|\btabular|\btables? (?:of )?data|\bcolumns?\b|\bexcel\b(?! files?)|\bdata anal|\banaly[sz]\w* (?:\w+ ){0,2}data|数据分析|分析.{0,4}数据|Excel(?!文件)|表格|CSV|电子表|报表数据",
        ),
        asks=r"\n.*[,;\t|]|\bcsv\b|\bcolumn|\brows?\b|表格|按.*(?:汇总|求和|统计|分组)",
        weight=35,
        read=read_query,
        tell=tell_query,
        examples={
            "en": (Example(f"Sum amount by region:\n{_CSV}", ("north", "17")),),
            "zh": (Example(f"按region汇总amount：\n{_CSV}", ("north", "17")),),
        },
    ),
    Skill(
        tool="describe_csv",
        topic=Topic(
            en="CSV profile",
            zh="CSV概览",
            category="data",
            words=r"\b(?:describ|profil|overview|explor)\w*\b.*\b(?:csv|data|tables?|columns?)|\bdata profil|\bcsv\b.*\b(?:overview|profile|describ\w*)|(?:概览|概况|描述).*(?:表|CSV|数据)|(?:表|CSV|数据).*(?:概览|概况|描述)",
        ),
        asks=r"\bdescribe|\boverview|\bprofile|\bwhat(?:'s| is) in\b|\bwhich columns|概览|概况|描述|有哪些列",
        weight=36,
        read=read_description,
        tell=tell_description,
        examples={
            "en": (Example(f"Describe this CSV:\n{_CSV}", ("3 rows", "amount")),),
            "zh": (Example(f"描述这个CSV：\n{_CSV}", ("3行", "amount")),),
        },
    ),
    Skill(
        tool="query_json",
        topic=Topic(en="JSON reader", zh="JSON读取", category="data", words=r"\bjson\b|JSON"),
        asks=r"[\[{].*[\]}]|\bjson\b|JSON",
        weight=24,
        read=read_json,
        examples={
            "en": (Example('What is order.customer.name in {"order": {"customer": {"name": "Ada"}}}?', ("Ada",)),),
            "zh": (Example('读取order.customer.name：{"order": {"customer": {"name": "Ada"}}}', ("Ada",)),),
        },
    ),
    Skill(
        tool="format_table",
        topic=Topic(
            en="Table layout",
            zh="表格排版",
            category="data",
            words=r"\bformat\w*\b.*\btables?\b|\bmarkdown tables?|\blays? out\b.*\btables?|表格排版|排版|制表",
        ),
        asks=r"\b(?:as|into|format|make|lay out)\b.*\btable|markdown|排版|制表|(?:转|做|变)成?表格",
        weight=37,
        read=read_rows,
        examples={
            "en": (Example(f"Format as a table:\n{_CSV}", ("| north",)),),
            "zh": (Example(f"排版成表格：\n{_CSV}", ("| north",)),),
        },
    ),
)
