"""What a run found, as a table: medians, how far the rounds spread, and the ratio to the raw relay of the same run."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

import msgspec

from bench.systems import Raw

Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""By measure, then by system: one figure for each round."""


def table(figures: Figures, names: Sequence[str], machine: str) -> str:
    measured = [name for name in names if any(name in values for values in figures.values())]
    lines = [machine, "", f"| {' | '.join(['', *measured])} |", f"|{'---|' * (len(measured) + 1)}"]
    for measure, values in figures.items():
        cells = [_cell(values.get(name), values.get(Raw.name) if name != Raw.name else None) for name in measured]
        lines.append(f"| {' | '.join([measure, *cells])} |")
    lines += ["", "Median (lowest to highest of the rounds), × the median of the raw relay in the same run."]
    return "\n".join(lines)


def _cell(values: Sequence[float] | None, raw: Sequence[float] | None) -> str:
    if not values:
        return "–"
    text = _figure(median(values))
    if len(values) > 1:
        text += f" ({_figure(min(values))}–{_figure(max(values))})"
    if raw and (limit := median(raw)) > 0:
        text += f" ×{_figure(median(values) / limit)}"
    return text


def _figure(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def write(folder: Path, text: str, figures: Figures, machine: str) -> None:
    (folder / "results.md").write_text(f"# One run of the benchmark\n\n{text}\n", encoding="utf-8")
    told = msgspec.json.encode({"machine": machine, "figures": figures})
    (folder / "results.json").write_bytes(msgspec.json.format(told, indent=1) + b"\n")
