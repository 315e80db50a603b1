"""Questions over columns: which are meant, how they are grouped, filtered, added up and sorted."""

import csv
import re

from nexus.domain.ports.models import JSON

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
            if (
                start is None
                and cells
                and not line.strip().startswith("```")
                and not line.rstrip().endswith((":", "：", "?", "？"))
            ):
                start = at
    if best[1] - best[0] < 2:
        return text, ""
    return "\n".join([*lines[: best[0]], *lines[best[1] :]]).replace("```", ""), "\n".join(
        lines[best[0] : best[1]]
    ).strip()


def columns_of(block: str) -> list[str]:
    head = block.split("\n", 1)[0]
    mark = max(",;\t|", key=head.count)
    return [cell.strip() for cell in next(csv.reader([head], delimiter=mark), [])]


def query(asked: str, block: str) -> JSON:
    columns = columns_of(block)
    named = sorted((match.start(), column) for column in columns if (match := mention(column, asked)))
    order = _order(asked, [column for _, column in named])
    grouped = [
        column
        for at, column in named
        if not order.startswith(column)
        and re.search(
            r"(?:\bby|\bper|\beach|\bfor every|\bfor each|按照?|每个?|各个?)\s*(?:the\s+)?[“\"'`]?$",
            asked[:at],
            re.IGNORECASE,
        )
    ]
    where = [condition for _, column in named if (condition := _condition(column, asked))]
    filtered = {condition.split(" ")[0] for condition in where}
    kinds = [
        kind
        for kind, words in _AGGREGATES.items()
        if re.search(words, asked, re.IGNORECASE) and not (order and kind in ("max", "min"))
    ]
    measured = [column for _, column in named if column not in grouped and column not in filtered]
    numeric = measured or [column for column in _numeric(block, columns) if column not in grouped][:1]
    aggregate = [f"{kind}({column})" for kind in kinds if kind != "count" for column in numeric] + (
        ["count(*)"] if "count" in kinds else []
    )
    if grouped and not aggregate:
        aggregate = ["count(*)"]
    asked_for: JSON = {"where": where, "group_by": grouped, "aggregate": aggregate}
    if aggregate:
        asked_for["order_by"] = aggregate[0] + (" desc" if order.endswith(" desc") else "") if order else ""
        return {name: value for name, value in asked_for.items() if value}
    top = re.search(r"\b(?:top|first|largest|highest|lowest|smallest)\s+(\d+)|前\s*(\d+)", asked, re.IGNORECASE)
    asked_for |= {
        "order_by": order,
        "limit": int(next(part for part in top.groups() if part)) if top else 0,
        "select": measured if not order and not top else [],
    }
    return {name: value for name, value in asked_for.items() if value}


def mention(column: str, asked: str) -> re.Match[str] | None:
    """Where a column is named, also in the plural or with spaces for underscores."""
    words = re.escape(column).replace("_", "[_ ]").replace(r"\ ", "[_ ]")
    edge = r"(?<![A-Za-z0-9_])", r"(?:e?s)?(?![A-Za-z0-9_])"
    return re.search(edge[0] + words + edge[1] if column.isascii() else words, asked, re.IGNORECASE) if column else None


def _condition(column: str, asked: str) -> str | None:
    named = mention(column, asked)
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
    found = re.search(
        r"\b(?:sort|order)\w*\b|\btop\s+\d|排序|前\s*\d|\b(?:largest|highest|lowest|smallest)\s+\d",
        asked,
        re.IGNORECASE,
    )
    if not found or not named:
        return ""
    falling = re.search(r"desc|largest|highest|\btop\b|降序|从大到小|从高到低|前", asked, re.IGNORECASE)
    return named[-1] + (" desc" if falling else "")


def _numeric(block: str, columns: list[str]) -> list[str]:
    lines = block.split("\n")[1:2]
    mark = max(",;\t|", key=block.split("\n", 1)[0].count)
    cells = next(csv.reader(lines, delimiter=mark), [])
    return [
        column for column, cell in zip(columns, cells, strict=False) if re.fullmatch(r"\s*[-$€£¥]?\d[\d,.]*%?\s*", cell)
    ]
