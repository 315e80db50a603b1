"""CSV and JSON pasted into a message: which columns are meant, and what is wanted of them."""

import csv
import re
from typing import Any

import msgspec

from nexus.adapters.offline.skills.skill import Example, Reading, Said, Skill, Topic
from nexus.adapters.offline.skills.told import table, text_of, value_of
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON, ToolSpec

_AGGREGATES = {
    "sum": r"\bsum\b|\btotals?\b|\badd up|总和|求和|合计|总计|汇总|总额|之和", "avg": r"\baverage|\bmean\b|\bavg\b|平均", "max": r"\bmax\w*|\blargest|\bhighest|\bmost\b|最大|最高|最多",
    "min": r"\bmin(?:imum)?\b|\bsmallest|\blowest|\bleast\b|最小|最低|最少", "median": r"\bmedian|中位数", "count": r"\bcount|\bhow many|\bnumber of|多少[行条个]|几[行条个]|计数|数量|个数",
}  # fmt: skip
_COMPARED = {
    ">=": r">=|≥|at least|不少于|不低于|至少", "<=": r"<=|≤|at most|不超过|最多", ">": r">|(?:is )?(?:greater|more|larger|higher) than|over|above|exceed\w*|大于|超过|高于",
    "<": r"<|(?:is )?(?:less|smaller|lower|fewer) than|under|below|小于|低于|少于", "=": r"==?|is|equals?|等于|为|是",
}  # fmt: skip


def split(text: str) -> tuple[str, str]:
    """The question and the CSV block of a message; no block: an empty text."""
    lines = text.replace("```csv", "```").split("\n")
    best: tuple[int, int] = (0, 0)
    for mark in (",", ";", "\t", "|"):
        start: int | None = None
        for at, line in enumerate([*lines, ""]):
            cells = line.count(mark)
            if start is not None and cells != lines[start].count(mark):
                best = max(best, (start, at), key=lambda span: span[1] - span[0])
                start = None
            if start is None and cells and not line.strip().startswith("```") and not line.rstrip().endswith((":", "：", "?", "？")):
                start = at
    if best[1] - best[0] < 2:
        return text, ""
    return "\n".join([*lines[: best[0]], *lines[best[1] :]]).replace("```", ""), "\n".join(lines[best[0] : best[1]]).strip()


def _columns(block: str) -> list[str]:
    head = block.split("\n", 1)[0]
    mark = max(",;\t|", key=head.count)
    return [cell.strip() for cell in next(csv.reader([head], delimiter=mark), [])]


def read_query(said: Said, tool: ToolSpec) -> list[Reading]:
    """A query over the block in the message, or over the block of an earlier one."""
    asked, block = split(said.text)
    block = block or str((said.previous or {}).get("csv_text", ""))
    if not block:
        return [Reading({}, ("csv_text",))]
    return [Reading({"csv_text": block, **_query(asked, block)})]


def _query(asked: str, block: str) -> JSON:
    columns = _columns(block)
    named = sorted((match.start(), column) for column in columns if (match := _mention(column, asked)))
    order = _order(asked, [column for _, column in named])
    grouped = [column for at, column in named if not order.startswith(column) and re.search(r"(?:\bby|\bper|\beach|\bfor every|\bfor each|按照?|每个?|各个?)\s*(?:the\s+)?[“\"'`]?$", asked[:at], re.IGNORECASE)]
    where = [condition for _, column in named if (condition := _condition(column, asked))]
    filtered = {condition.split(" ")[0] for condition in where}
    kinds = [kind for kind, words in _AGGREGATES.items() if re.search(words, asked, re.IGNORECASE) and not (order and kind in ("max", "min"))]
    measured = [column for _, column in named if column not in grouped and column not in filtered]
    numeric = measured or [column for column in _numeric(block, columns) if column not in grouped][:1]
    aggregate = [f"{kind}({column})" for kind in kinds if kind != "count" for column in numeric] + (["count(*)"] if "count" in kinds else [])
    if grouped and not aggregate:
        aggregate = ["count(*)"]
    query: JSON = {"where": where, "group_by": grouped, "aggregate": aggregate}
    if aggregate:
        query["order_by"] = aggregate[0] + (" desc" if order.endswith(" desc") else "") if order else ""
        return {name: value for name, value in query.items() if value}
    top = re.search(r"\b(?:top|first|largest|highest|lowest|smallest)\s+(\d+)|前\s*(\d+)", asked, re.IGNORECASE)
    query |= {"order_by": order, "limit": int(next(part for part in top.groups() if part)) if top else 0, "select": measured if not order and not top else []}
    return {name: value for name, value in query.items() if value}


def _mention(column: str, asked: str) -> re.Match[str] | None:
    """Where a column is named, also in the plural or with spaces for underscores."""
    words = re.escape(column).replace("_", "[_ ]").replace(r"\ ", "[_ ]")
    edge = r"(?<![A-Za-z0-9_])", r"(?:e?s)?(?![A-Za-z0-9_])"
    return re.search(edge[0] + words + edge[1] if column.isascii() else words, asked, re.IGNORECASE) if column else None


def _condition(column: str, asked: str) -> str | None:
    named = _mention(column, asked)
    if not named:
        return None
    rest = asked[named.end() :]
    for sign, words in _COMPARED.items():
        edged = rf"(?:{words})" if not words[0].isalpha() else rf"\b(?:{words})"
        found = re.match(rf"\s*(?:{edged})\s*[“\"'「]?(-?[\w.%一-鿿]+)", rest, re.IGNORECASE)
        if found and found[1].lower() not in ("the", "what", "多少", "a", "an"):
            return f"{column} {sign} {found[1].rstrip('.')}"
    return None


def _order(asked: str, named: list[str]) -> str:
    found = re.search(r"\b(?:sort|order)\w*\b|\btop\s+\d|排序|前\s*\d|\b(?:largest|highest|lowest|smallest)\s+\d", asked, re.IGNORECASE)
    if not found or not named:
        return ""
    falling = re.search(r"desc|largest|highest|\btop\b|降序|从大到小|从高到低|前", asked, re.IGNORECASE)
    return named[-1] + (" desc" if falling else "")


def _numeric(block: str, columns: list[str]) -> list[str]:
    lines = block.split("\n")[1:2]
    mark = max(",;\t|", key=block.split("\n", 1)[0].count)
    cells = next(csv.reader(lines, delimiter=mark), [])
    return [column for column, cell in zip(columns, cells, strict=False) if re.fullmatch(r"\s*[-$€£¥]?\d[\d,.]*%?\s*", cell)]


def read_description(said: Said, tool: ToolSpec) -> list[Reading]:
    block = split(said.text)[1] or str((said.previous or {}).get("csv_text", ""))
    return [Reading({"csv_text": block} if block else {}, () if block else ("csv_text",))]


def read_json(said: Said, tool: ToolSpec) -> list[Reading]:
    """The document in the message, and the path that is asked for: written as one, or as `the name of the customer`."""
    found = re.search(r"[\[{].*[\]}]", said.text, re.DOTALL)
    document = found[0] if found and _is_json(found[0]) else str((said.previous or {}).get("json_text", ""))
    if not document:
        return [Reading({}, ("json_text",))]
    asked = said.text.replace(document, " ") if found else said.text
    path = re.search(r"(?<![\w.])((?:\w+|\$)(?:\.\w+|\[(?:\d+|\*|-\d+)\])+)", asked, re.ASCII)
    return [Reading({"json_text": document, "path": path[1] if path else _path(asked, msgspec.json.decode(document))})]


def _path(asked: str, value: Any, prefix: str = "") -> str:
    """The deepest key that the question names."""
    children = value.items() if isinstance(value, dict) else [("[*]", value[0])] if isinstance(value, list) and value else []
    for key, child in children:
        here = f"{prefix}{key}" if key == "[*]" or not prefix else f"{prefix}.{key}"
        if deeper := _path(asked, child, here):
            return deeper
        if key != "[*]" and _mention(str(key), asked):
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
    found = re.search(r"\[\s*\{.*\}\s*\]", said.text, re.DOTALL)
    if found and _is_json(found[0]):
        return [Reading({"rows": msgspec.json.decode(found[0])})]
    if not block:
        return [Reading({}, ("rows",))]
    mark = max(",;\t|", key=block.split("\n", 1)[0].count)
    return [Reading({"rows": [dict(zip(_columns(block), (cell.strip() for cell in row), strict=False)) for row in list(csv.reader(block.split("\n"), delimiter=mark))[1:]]})]


def tell_query(arguments: JSON, result: Any, language: Language) -> str:
    rows = next((value for value in result.values() if isinstance(value, list) and all(isinstance(row, dict) for row in value)), [])
    steps = [f"where {condition}" for condition in arguments.get("where", [])] + [f"group by {column}" for column in arguments.get("group_by", [])] + list(arguments.get("aggregate", []))
    how = ("（步骤：" if language == "zh" else "Steps: ") + ", ".join(steps) + ("）" if language == "zh" else ".") if steps else ""
    if not rows:
        return text_of(result, language)
    if len(rows) == 1 and len(rows[0]) <= 2:
        return ", ".join(f"{name} = **{value_of(value, language)}**" for name, value in rows[0].items()) + f"\n\n{how}".rstrip()
    return table(rows, 50) + f"\n\n{how}".rstrip()


def tell_description(arguments: JSON, result: Any, language: Language) -> str:
    lead = f"{result['rows']}行，{len(result['columns'])}列：" if language == "zh" else f"{result['rows']} rows, {len(result['columns'])} columns:"
    return lead + "\n\n" + table(result["columns"], 200)


_CSV = "region,amount\nnorth,10\nsouth,5\nnorth,7"

SKILLS = (
    Skill(
        tool="query_csv",
        topic=Topic(en="CSV analyst", zh="CSV分析", category="data", words=r"\bcsv\b|\bspreadsheets?|\btabular|\btables? (?:of )?data|\bcolumns?\b|表格|CSV|电子表|报表数据"),
        asks=r"\n.*[,;\t|]|\bcsv\b|\bcolumn|\brows?\b|表格|按.*(?:汇总|求和|统计|分组)",
        weight=35,
        read=read_query,
        tell=tell_query,
        examples={"en": (Example(f"Sum amount by region:\n{_CSV}", ("north", "17")),), "zh": (Example(f"按region汇总amount：\n{_CSV}", ("north", "17")),)},
    ),
    Skill(
        tool="describe_csv",
        topic=Topic(en="CSV profile", zh="CSV概览", category="data", words=r"\b(?:describ|profil|overview|explor)\w*\b.*\b(?:csv|data|tables?|columns?)|\bdata profil|\bcsv\b.*\b(?:overview|profile|describ\w*)|(?:概览|概况|描述).*(?:表|CSV|数据)|(?:表|CSV|数据).*(?:概览|概况|描述)"),
        asks=r"\bdescribe|\boverview|\bprofile|\bwhat(?:'s| is) in\b|\bwhich columns|概览|概况|描述|有哪些列",
        weight=36,
        read=read_description,
        tell=tell_description,
        examples={"en": (Example(f"Describe this CSV:\n{_CSV}", ("3 rows", "amount")),), "zh": (Example(f"描述这个CSV：\n{_CSV}", ("3行", "amount")),)},
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
        topic=Topic(en="Table layout", zh="表格排版", category="data", words=r"\bformat\w*\b.*\btables?\b|\bmarkdown tables?|\blays? out\b.*\btables?|表格排版|排版|制表"),
        asks=r"\b(?:as|into|format|make|lay out)\b.*\btable|markdown|排版|制表|(?:转|做|变)成?表格",
        weight=37,
        read=read_rows,
        examples={"en": (Example(f"Format as a table:\n{_CSV}", ("| north",)),), "zh": (Example(f"排版成表格：\n{_CSV}", ("| north",)),)},
    ),
)
