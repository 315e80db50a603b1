"""`nexus chat` on a real terminal: pasting, Ctrl-C, Markdown, widths."""

import asyncio

import pytest

from tests.cli.terminals import Terminal, nexus_on_terminal
from tests.client import fake as say
from tests.client.fake import Fake, frame
from tests.client.things import reply

CSV = "date,product,price\n2026-01-01,tea,3\n2026-01-02,壶,40\n2026-01-03,cup,5\n2026-01-04,tea,3"
STREAM = "/api/v2/sessions/ses_1/stream"
CANCEL = "/api/v2/sessions/ses_1/replies/msg_1/cancel"
REPLY = "/api/v2/sessions/ses_1/replies/msg_1/events"
BEGUN = frame(1, "reply.started", session_id="ses_1", reply_id="msg_1")


def answer(*pieces: str) -> say.Answer:
    texts = [frame(position, "reply.delta", text=piece) for position, piece in enumerate(pieces, 2)]
    return say.events(BEGUN, *texts, frame(len(pieces) + 2, "reply.completed", reply_id="msg_1"))


def said_to(fake: Fake) -> list[str]:
    return [seen.json["content"] for seen in fake.asked("POST", STREAM)]


@pytest.mark.parametrize("newline", ["\n", "\r"])
def test_a_pasted_table_is_one_message(talking: Fake, newline: str):
    talking.on("POST", STREAM, answer("Seen."))
    with nexus_on_terminal("chat", environ={"NEXUS_URL": talking.url}) as terminal:
        terminal.until("> ")
        terminal.paste(CSV.replace("\n", newline))
        terminal.type(" total?\r")
        terminal.until("Seen.")
        terminal.until("> ")
        terminal.type("\x04")
        assert terminal.end() == 0
    assert said_to(talking) == [f"{CSV} total?"]


def test_ctrl_c_at_the_prompt_gives_up_the_line_and_only_the_second_one_leaves(talking: Fake):
    talking.on("POST", STREAM, answer("Seen."))
    with nexus_on_terminal("chat", environ={"NEXUS_URL": talking.url}) as terminal:
        terminal.until("> ")
        terminal.press_ctrl_c("never said")
        terminal.until("Ctrl-C again leaves")
        terminal.until("> ")
        terminal.type("said\r")
        terminal.until("Seen.")
        terminal.until("> ")
        terminal.press_ctrl_c("x")
        terminal.until("Ctrl-C again leaves")
        terminal.until("> ")
        terminal.press_ctrl_c("y")
        terminal.until("chat --session ses_1")
        assert terminal.end() == 130
    assert said_to(talking) == ["said"]
    assert "Traceback" not in terminal.said


def test_ctrl_c_in_a_reply_stops_it_and_the_terminal_is_as_before(talking: Fake):
    talking.on("POST", STREAM, say.events(BEGUN, frame(2, "reply.delta", text="A **long"), after=asyncio.Event().wait))
    talking.on("POST", CANCEL, say.good(reply(), 202))
    talking.on("GET", REPLY, say.events(frame(3, "reply.cancelled", reply_id="msg_1")))
    with nexus_on_terminal("chat", environ={"NEXUS_URL": talking.url}) as terminal:
        terminal.until("> ")
        terminal.type("tell\r")
        terminal.until("A **long")
        terminal.type("\x03")
        terminal.until("(stopped)")
        terminal.until("> ")
        terminal.type("/exit\r")
        assert terminal.end() == 0
    assert terminal.raw.count("\x1b[?25l") == terminal.raw.count("\x1b[?25h")  # the cursor is shown again


def lines_of_answer(terminal: Terminal) -> str:
    terminal.until("> ")
    terminal.type("tell\r")
    terminal.until("the end")
    terminal.until("> ")
    terminal.type("\x04")
    assert terminal.end() == 0
    return terminal.said


MARKDOWN = (
    "# Ti",
    "tle\n\nSome **bold",
    "** text, 2*3*4 = 24, List<T>\nand `co",
    "de`\n\n```python\nx",
    " = 1\n\ny = 2\n```\n\n",
    "- one\n- 二\n\nthe end",
)


def test_markdown_is_shown_as_what_it_means_and_nothing_is_lost(talking: Fake):
    talking.on("POST", STREAM, answer(*MARKDOWN))
    with nexus_on_terminal("chat", environ={"NEXUS_URL": talking.url}) as terminal:
        said = lines_of_answer(terminal)
    final = said[said.rindex("Title\n") :]
    assert "Some bold text, 2*3*4 = 24, List<T>" in final
    assert "and code" in final
    assert " • 二" in final
    assert "**bold**" not in said
    assert "```" not in final
    assert "\x1b[1m" in terminal.raw


@pytest.mark.parametrize(("argv", "environ"), [(("--raw",), {}), ((), {"TERM": "dumb"})])
def test_markdown_is_shown_as_it_was_written_where_that_is_wanted(
    talking: Fake, argv: tuple[str, ...], environ: dict[str, str]
):
    talking.on("POST", STREAM, answer(*MARKDOWN))
    with nexus_on_terminal("chat", *argv, environ={"NEXUS_URL": talking.url, **environ}) as terminal:
        said = lines_of_answer(terminal)
    assert "".join(MARKDOWN) in said


@pytest.mark.parametrize("columns", [80, 40, 20])
def test_a_long_answer_keeps_all_its_lines_on_a_small_terminal_that_changes(talking: Fake, columns: int):
    words = [f"词{number}word " for number in range(400)]
    talking.on("POST", STREAM, answer(*words, "\n\nthe end"))
    with nexus_on_terminal("chat", environ={"NEXUS_URL": talking.url}, columns=columns) as terminal:
        terminal.until("> ")
        terminal.resize(columns - 5, rows=6)
        terminal.type("tell\r")
        terminal.until("the end")
        terminal.until("> ")
        terminal.type("\x04")
        assert terminal.end() == 0
    said = terminal.said
    assert [word.strip() for word in words if word.strip() not in said.replace("\n", "")] == []
