"""Markdown as it is written, for people: what is complete is printed, the rest is drawn anew until it is. Nothing that was said is lost."""

import re
import sys
from collections.abc import Iterable, Iterator
from typing import TextIO

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.markdown import Heading, Markdown, TableElement
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from nexus.cli.terminal import remove_control_chars

REDRAWN = 4_000
"""Characters of an unfinished block that are drawn again and again; of a longer one, its end is shown as it is."""


class Blocks:
    """Cuts a text that grows into parts that later text cannot change: at blank lines outside code, before what is not indented."""

    def __init__(self) -> None:
        self.rest = ""
        self._at, self._fence, self._is_blank = 0, "", False

    def pop_complete_blocks(self, piece: str) -> str:
        """What is complete now."""
        self.rest += piece
        end = 0
        while (stop := self.rest.find("\n", self._at)) >= 0:
            end = self._at if self._is_block_start(self.rest[self._at : stop]) else end
            self._track_code_fence(self.rest[self._at : stop])
            self._at = stop + 1
        end = self._at if self._is_block_start(self.rest[self._at :]) else end
        complete, self.rest = self.rest[:end], self.rest[end:]
        self._at -= end
        return complete

    def _is_block_start(self, line: str) -> bool:
        return self._is_blank and not self._fence and line[:1].strip() != ""

    def _track_code_fence(self, line: str) -> None:
        mark = re.match(r" {0,3}(`{3,}|~{3,})", line)
        if mark and not self._fence:
            self._fence = mark[1]
        elif mark and mark[1].startswith(self._fence) and line.strip() == mark[1]:
            self._fence = ""
        self._is_blank = not line.strip()


class MarkdownWriter:
    """Writes one text after the other to a terminal."""

    def __init__(self, out: TextIO) -> None:
        self._console = Console(file=out, highlight=False)
        self._blocks, self._live, self._has_printed = Blocks(), Live(), False

    def write(self, piece: str) -> None:
        if complete := self._blocks.pop_complete_blocks(remove_control_chars(piece)):
            self._print_markdown(complete)
        if not self._live.is_started and self._blocks.rest.strip():
            self._live = Live(
                get_renderable=self._render_unfinished_block,
                console=self._console,
                transient=True,
                refresh_per_second=8,
                redirect_stdout=False,
                redirect_stderr=sys.stderr.isatty(),
            )
            self._live.start()

    def finish_text(self) -> None:
        """What is not complete is taken for it, and the next text begins anew."""
        rest, self._blocks = self._blocks.rest, Blocks()
        self._live.stop()
        if rest.strip():
            self._print_markdown(rest)
        self._has_printed = False

    def _print_markdown(self, text: str) -> None:
        if self._has_printed:
            self._console.print()
        self._console.print(Shown(text))
        self._has_printed = True

    def _render_unfinished_block(self) -> RenderableType:
        rest = self._blocks.rest
        return LastLines(Shown(rest) if len(rest) <= REDRAWN else Text(rest[-REDRAWN:]))


class LastLines:
    """As much of the end as the terminal has lines for: only that can be drawn anew."""

    def __init__(self, whole: RenderableType) -> None:
        self._whole = whole

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = console.render_lines(self._whole, options.update(height=None), pad=False)
        for number, line in enumerate(lines[-max(1, console.height - 2) :]):
            yield from ([Segment.line()] if number else [])
            yield from line


class _LeftHeading(Heading):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield Text.assemble(self.text, style="bold")


class _WholeTable(TableElement):
    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for part in super().__rich_console__(console, options):
            if isinstance(part, Table):
                for column in part.columns:
                    column.overflow = "fold"
            yield part


class Shown(Markdown):
    """Tags, images, lines and formulas stay as they were written: `a < b`, `<T>`, `2*3*4`."""

    elements = {**Markdown.elements, "heading_open": _LeftHeading, "table_open": _WholeTable}

    def __init__(self, text: str) -> None:
        super().__init__("", code_theme="ansi_dark", hyperlinks=False)
        self.parsed = list(_keep_images_and_breaks(_make_markdown_parser().parse(text)))


def _make_markdown_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable(["strikethrough", "table"])
    parser.inline.ruler.before("emphasis", "formula", _keep_star_as_text)
    return parser


def _keep_star_as_text(state: StateInline, silent: bool) -> bool:
    """A star between two letters or digits multiplies: it is text."""
    around = state.src[max(0, state.pos - 1) : state.pos + 2]
    if re.fullmatch(r"[A-Za-z0-9)]\*[A-Za-z0-9(]", around) is None:
        return False
    if not silent:
        state.pending += "*"
    state.pos += 1
    return True


def _keep_images_and_breaks(tokens: Iterable[Token]) -> Iterator[Token]:
    for token in tokens:
        if token.type == "softbreak":
            token.type = "hardbreak"
        if token.type == "image":
            token.type, token.tag = "text", ""
            token.content = f"![{token.content}]({token.attrGet('src')})"
            token.children = None
        if token.children:
            token.children = list(_keep_images_and_breaks(token.children))
        yield token
