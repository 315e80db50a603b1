"""Lists of values: in order, without repeats, counted."""

from collections import Counter
from fractions import Fraction
from typing import Any

from nexus.domain.tools.library.conditions import make_sort_key, parse_number
from nexus.domain.tools.library.functions import FUNCTIONS
from nexus.domain.tools.library.numbers import check_count, convert_for_json, parse_exact, show_number
from nexus.domain.tools.model import ToolError

_MOST = 10_000


def sort_list(items: list[str], descending: bool = False, unique: bool = False) -> dict[str, Any]:
    """Sorts a list, numbers by their value and before text; can drop repeats.

    Args:
        items: The values.
        descending: Whether the largest stands first.
        unique: Whether repeats are dropped.
    """
    found = [*dict.fromkeys(_normalize_list_items(items))] if unique else _normalize_list_items(items)
    found = sorted(found, key=make_sort_key, reverse=descending)
    return {"items": found, "count": len(found), "text": "\n".join(found)}


def count_values(items: list[str], limit: int = 20) -> dict[str, Any]:
    """Counts how often each value of a list occurs, the most frequent first.

    Args:
        items: The values.
        limit: How many values to list, at most 500.
    """
    counts = Counter(_normalize_list_items(items))
    most = counts.most_common(check_count(limit, "limit", 500))
    listed = [{"value": value, "count": count} for value, count in most]
    text = "\n".join(f"{entry['value']}: {entry['count']}" for entry in listed)
    return {"counts": listed, "distinct": len(counts), "total": len(items), "text": text}


def number_statistics(numbers: list[float]) -> dict[str, Any]:
    """Works out count, sum, mean, median, least, largest, range and standard deviation (of a sample) of numbers.

    Args:
        numbers: The numbers.
    """
    values = [_check_number_size(parse_exact(number, "Each number")) for number in numbers[:_MOST]]
    if not values or len(numbers) > _MOST:
        raise ToolError(f"There must be from 1 to {_MOST} numbers.")
    found: dict[str, Fraction] = {
        "sum": sum(values, Fraction(0)),
        "mean": FUNCTIONS["mean"].call(*values),
        "median": FUNCTIONS["median"].call(*values),
        "min": min(values),
        "max": max(values),
        "range": max(values) - min(values),
    }
    if len(values) > 1:
        found["standard_deviation"] = FUNCTIONS["stdev"].call(*values)
    text = ", ".join(f"{name.replace('_', ' ')} {show_number(value, 10)}" for name, value in found.items())
    measures = {name: convert_for_json(value) for name, value in found.items()}
    return {"count": len(values), **measures, "text": f"{len(values)} numbers: {text}"}


def _check_number_size(value: Fraction) -> Fraction:
    if value and not Fraction(1, 10**30) < abs(value) < 10**30:
        raise ToolError("The numbers must be between 1e-30 and 1e30 in size.")
    return value


def _normalize_list_items(items: list[str]) -> list[str]:
    if len(items) > _MOST:
        raise ToolError(f"A list may have at most {_MOST} values.")
    return [item.strip() if parse_number(item) is not None else item for item in map(str, items)]
