"""What reaches a terminal: nothing that steers it, and nothing that is cut where it is needed whole."""

import io
import json
import sys
import unicodedata

import pytest
from rich.cells import cell_len as cells

from nexus.cli.output import Output
from nexus.cli.tables import format_table
from nexus.cli.terminal import escape_json_controls, remove_control_chars, truncate_to_one_line

BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
EVERY = [chr(code) for code in range(sys.maxunicode + 1)]
STEERING = [
    character
    for character in EVERY
    if (unicodedata.category(character) in ("Cc", "Cs") and character not in "\n\t")
    or unicodedata.bidirectional(character) in BIDI
    or character in "\u200e\u200f\u061c\u2028\u2029"
]
AGENT_ID = "agt_01JZZZZZZZZZZZZZZZZZZZZZZZ"


class Terminal(io.StringIO):
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_nothing_that_steers_a_terminal_is_printable():
    assert len(STEERING) > 2100
    left = set(remove_control_chars("".join(STEERING)))
    assert left == {"\n", "\ufffd"}
    assert [
        remove_control_chars(f"a{one}b")
        for one in STEERING
        if remove_control_chars(f"a{one}b") not in ("ab", "a\ufffdb", "a\nb")
    ] == []


def test_all_other_text_stays_as_it_is():
    harmless = "".join(one for one in EVERY if unicodedata.category(one) not in ("Cc", "Cs", "Cf", "Zl", "Zp"))
    assert remove_control_chars(harmless) == harmless
    assert remove_control_chars("naïve 税务 👩‍👩‍👧 می‌خواهم\n\t") == "naïve 税务 👩‍👩‍👧 می‌خواهم\n\t"
    assert remove_control_chars("a\x1b[31mb\r\x9b\u202ec\n\t") == "a[31mbc\n\t"


def test_json_with_escapes_means_the_same_and_holds_nothing_that_steers():
    value = {"all": "".join(one for one in STEERING if unicodedata.category(one) != "Cs"), "名": "👍"}
    shown = escape_json_controls(json.dumps(value, ensure_ascii=False))
    assert json.loads(shown) == value
    assert remove_control_chars(shown) == shown
    assert "名" in shown
    plain = escape_json_controls(json.dumps(value, ensure_ascii=False), ascii_only=True)
    assert plain.isascii()
    assert json.loads(plain) == value


@pytest.mark.parametrize("write", ["write_json_document", "write_json_line"])
def test_json_on_a_terminal_is_escaped_and_elsewhere_as_it_is(write: str):
    value = {"text": "a\x7f\x85\x9b31m\u202eb", "half": "x"}
    for out, raw in ((Terminal(), False), (io.StringIO(), True)):
        getattr(Output(stdout=out, stderr=io.StringIO()), write)(value)
        assert json.loads(out.getvalue()) == value
        assert ("\x9b" in out.getvalue()) is raw


def test_half_a_character_and_a_poor_encoding_end_no_command():
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    output = Output(stdin=io.StringIO(), stdout=out, stderr=out)
    output.ignore_encoding_errors()
    output.write_line("✔ \ud800")
    output.write_json_document({"path": "caf\udce9", "name": "税"})
    out.seek(0)
    first, _, rest = out.read().partition("\n")
    assert first == "? ?"
    assert json.loads(rest) == {"path": "caf\udce9", "name": "税"}


def test_a_text_on_one_line_is_cut_at_its_width():
    assert truncate_to_one_line("a\n b\t c") == "a b c"
    assert truncate_to_one_line("x" * 300) == "x" * 199 + "…"


@pytest.mark.parametrize("room", [22, 25, 60])
def test_the_last_field_is_folded_and_loses_nothing(room: int):
    text = "converts units 长度和重量换算 of-a-very-long-kind [bold] :smile: x"
    lines = format_table(["ID", "NAME"], [{"ID": "agt_1", "NAME": text}], room, [])
    assert max(map(cells, lines)) <= room
    assert "".join(line.removeprefix("agt_1") for line in lines[1:]).replace(" ", "") == text.replace(" ", "")


ROWS = [
    {"ID": AGENT_ID, "SLUG": "unit_converter_for_kitchens_2", "CREATED": "2026-03-04T05:06:07", "NAME": "厨房单位换算助手 for cooks"},
    {"ID": AGENT_ID[:-1] + "Y", "SLUG": "bmi", "CREATED": "2026-03-04T05:06:07", "NAME": "BMI"},
]  # fmt: skip


@pytest.mark.parametrize("room", [200, 100, 80, 60, 40, 20])
def test_at_every_width_ids_slugs_and_names_are_whole(room: int):
    lines = format_table(list(ROWS[0]), ROWS, room, ["CREATED"])
    whole = " ".join(lines)
    for row in ROWS:
        assert row["ID"] in whole
        assert row["SLUG"] in whole or room < 40
        assert row["NAME"].replace(" ", "") in "".join(lines).replace(" ", "") or room > 40
    assert "…" not in whole
    assert max(map(cells, lines)) <= max(room, cells(AGENT_ID))


def test_where_a_table_does_not_fit_its_lesser_columns_go_first():
    assert "CREATED" in format_table(list(ROWS[0]), ROWS, 120, ["CREATED"])[0]
    assert format_table(list(ROWS[0]), ROWS, 80, ["CREATED"])[0].split() == ["ID", "SLUG", "NAME"]
    assert format_table(list(ROWS[0]), ROWS, None, ["CREATED"])[0].split() == ["ID", "SLUG", "CREATED", "NAME"]
