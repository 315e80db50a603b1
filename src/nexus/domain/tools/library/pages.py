"""The text of web pages."""

import html
import re

_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]{0,20})")
_LONG_NUMBER = re.compile(r"&#([0-9]{9,}+|[xX][0-9a-fA-F]{9,}+)")
_SILENT = {
    name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style", "noscript", "template", "svg")
}
_BLOCKS = frozenset((
    "p", "div", "br", "li", "ul", "ol", "tr", "table", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "header", "footer",
    "pre", "blockquote", "hr", "main", "nav",
))  # fmt: skip


def read_page(page: str) -> dict[str, str]:
    title, text = extract_readable_text(page)
    return {"title": title, "text": text}


def extract_readable_text(page: str) -> tuple[str, str]:
    """The title and the visible text of a page. Reads every character once, however broken the page is."""
    parts, title, place = list[str](), "", 0
    while (start := page.find("<", place)) >= 0:
        parts.append(unescape_html(page[place:start]))
        tag = _TAG.match(page, start)
        name = tag[2].lower() if tag else ""
        place = _skip_html_element(page, start, name, closing=bool(tag and tag[1]))
        if name == "title" and tag and not tag[1] and not title:
            end = page.find("<", place)
            title, place = unescape_html(page[place : end if end >= 0 else None]), end if end >= 0 else len(page)
        elif name in _BLOCKS:
            parts.append("\n")
        elif not name and place == start + 1:
            parts.append("<")
    parts.append(unescape_html(page[place:]))
    lines = "\n".join(" ".join(line.split()) for line in "".join(parts).splitlines())
    return " ".join(title.split())[:300], re.sub(r"\n{3,}", "\n\n", lines).strip()


def unescape_html(text: str) -> str:
    """With character references as their characters; a number of any length is one, as in browsers."""
    return html.unescape(_LONG_NUMBER.sub(lambda found: f"&#{_truncate_char_code(found[1])}", text))


def _truncate_char_code(number: str) -> str:
    """Its nine leading digits: no character has a number of more than seven."""
    mark = number[0] if number[0] in "xX" else ""
    return mark + (number.lstrip("xX0")[:9] or "0")


def _skip_html_element(page: str, start: int, name: str, *, closing: bool) -> int:
    """Where the text goes on behind a tag, a comment, or an element that nobody sees; at the end when it never closes."""
    if page.startswith("<!--", start):
        return _skip_past_marker(page, "-->", start + 4)
    if not name and page[start + 1 : start + 2] not in ("!", "?", "/"):
        return start + 1
    if name in _SILENT and not closing:
        end = _SILENT[name].search(page, start)
        return _skip_past_marker(page, ">", end.end()) if end else len(page)
    return _skip_past_marker(page, ">", start)


def _skip_past_marker(page: str, mark: str, start: int) -> int:
    found = page.find(mark, start)
    return found + len(mark) if found >= 0 else len(page)
