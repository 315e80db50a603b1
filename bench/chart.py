"""A line chart as SVG, by hand."""

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT, LEFT, TOP, FLOOR, LEGEND = 960, 420, 60, 50, 380, 660
COLOURS = ("#1b6ac9", "#c2410c", "#15803d", "#7c3aed", "#b91c1c", "#0e7490", "#a16207", "#be185d", "#4b5563", "#65a30d")


def lines(title: str, sizes: Sequence[int], series: Mapping[str, Sequence[float]], *, limit: float) -> str:
    """One line for each series over `sizes`, a dashed one at `limit`."""
    top = max(limit * 1.2, *(value for values in series.values() for value in values))
    span = max(sizes) - min(sizes) or 1

    def x(size: int) -> float:
        return LEFT + (size - min(sizes)) / span * (LEGEND - 30 - LEFT)

    def y(value: float) -> float:
        return FLOOR - value / top * (FLOOR - TOP)

    parts = [_text(LEFT, 28, title, size=16), _line(LEFT, FLOOR, LEGEND - 30, FLOOR, "#888")]
    parts += [_text(x(size), FLOOR + 20, str(size), anchor="middle") for size in sizes]
    for mark in (0.0, 0.5, 1.0, limit, *range(2, int(top) + 1)):
        dash = "6 4" if mark == limit else ""
        parts.append(_line(LEFT, y(mark), LEGEND - 30, y(mark), "#b91c1c" if dash else "#e5e5e5", dash))
        parts.append(_text(LEFT - 8, y(mark) + 4, f"×{mark:g}", anchor="end"))
    for number, (name, values) in enumerate(series.items()):
        colour, row = COLOURS[number % len(COLOURS)], TOP + 12 + number * 24
        points = " ".join(f"{x(size):.1f},{y(value):.1f}" for size, value in zip(sizes, values, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [_line(LEGEND, row - 4, LEGEND + 24, row - 4, colour), _text(LEGEND + 32, row, name)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    return "\n".join([head, f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>', *parts, "</svg>", ""])


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"{dashed}/>'


def _text(x: float, y: float, text: str, *, size: int = 12, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(text)}</text>'
