"""What is typed in a conversation: messages of several lines, commands, Ctrl-C at the prompt."""

import pytest

from nexus.cli.prompt import Typed, read_typed_entry
from tests.cli.conftest import Nexus
from tests.client import fake as say
from tests.client.fake import Fake, frame
from tests.client.things import session

CSV = "date,product,price\n2026-01-01,tea,3\n2026-01-02,pot,40\n2026-01-03,cup,5\n2026-01-04,tea,3"
STREAM = "/api/v2/sessions/ses_1/stream"
ANSWER = (
    frame(1, "reply.started", session_id="ses_1", reply_id="msg_1"),
    frame(2, "reply.delta", text="Yes."),
    frame(3, "reply.completed", reply_id="msg_1"),
)


@pytest.fixture
def talking(talking: Fake) -> Fake:
    return talking.on("POST", STREAM, say.events(*ANSWER))


def said_to(fake: Fake) -> list[str]:
    return [seen.json["content"] for seen in fake.asked("POST", STREAM)]


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["hello"], Typed("hello")),
        ([CSV], Typed(CSV)),
        ([f"/help\n{CSV}"], Typed(f"/help\n{CSV}")),
        (['"""', "a", "", " b", '"""'], Typed("\na\n\n b\n")),
        (['"""a', 'b"""'], Typed("a\nb")),
        (['"""/help"""'], Typed("/help")),
        (['"""a\nb', 'c""" '], Typed("a\nb\nc")),
        (["/help"], Typed("/help", "help")),
        (["  /Help me "], Typed("/Help me", "help")),
        (["／help"], Typed("／help", "help")),
        (["/"], Typed("/", "")),
        (["/?"], Typed("/?", "?")),
        (["//help"], Typed("/help")),
        (["/usr/bin is what?"], Typed("/usr/bin is what?")),
        (["1/2 cup"], Typed("1/2 cup")),
        ([], None),
    ],
)
def test_what_is_typed_is_a_text_or_a_command(lines: list[str], found: Typed | None):
    given = iter(lines)
    assert read_typed_entry(lambda _: next(given, None)) == found


@pytest.mark.parametrize("interactive", [True, False])
def test_commands_are_handled_here_and_never_sent(talking: Fake, nexus: Nexus, interactive: bool):
    said = nexus("chat", stdin="/help\n//help\n/exit\nnever said\n", interactive=interactive)
    assert said.code == 0
    assert said_to(talking) == ["/help"]
    assert "this list" in said.err


@pytest.mark.parametrize("typed_line", ["/nonsense", "/", "/helpme please"])
def test_a_command_that_is_not_known_teaches_the_way(talking: Fake, nexus: Nexus, typed_line: str):
    said = nexus("chat", stdin=f"{typed_line}\nhi\n", interactive=True)
    assert (said.code, said_to(talking)) == (0, ["hi"])
    assert "There is no command" in said.err and "begin with //" in said.err
    assert nexus("chat", stdin=f"hi\n{typed_line}\n").code == 2
    assert said_to(talking) == ["hi"]


@pytest.mark.parametrize("interactive", [True, False])
def test_a_quoted_block_is_one_message(talking: Fake, nexus: Nexus, interactive: bool):
    said = nexus("chat", stdin=f'first\n"""\n{CSV}\n"""\nTotal?\n', interactive=interactive)
    assert said.code == 0
    assert said_to(talking) == ["first", CSV, "Total?"]


def test_a_block_without_an_end_is_not_sent(talking: Fake, nexus: Nexus):
    said = nexus("chat", stdin='hi\n"""\na\n', interactive=True)
    assert (said.code, said_to(talking)) == (0, ["hi"])
    assert "was not sent" in said.err
    assert nexus("chat", stdin='hi\n"""\na\n').code == 2
    assert said_to(talking) == ["hi"]


def test_a_new_session_is_begun_and_the_way_back_is_that_of_the_new_one(talking: Fake, nexus: Nexus):
    opened = "/api/v2/agents/agt_1/sessions"
    talking.answers["POST", opened] = [say.good(session(), 201), say.good(session("ses_2"), 201)]
    said = nexus("chat", stdin="/session\n/new\n", interactive=True)
    assert "Go on later: nexus chat --session ses_1" in said.err
    assert said.err.rstrip().endswith("Go on later: nexus chat --session ses_2")


def test_ctrl_c_at_the_prompt_hints_first_and_what_is_typed_then_is_said(talking: Fake, nexus: Nexus):
    said = nexus("chat", stdin="hi\n", interactive=True, press_at="> ")
    assert (said.code, said_to(talking)) == (0, ["hi"])
    assert "Ctrl-C again leaves" in said.err


def test_a_server_that_goes_away_ends_no_conversation(talking: Fake, nexus: Nexus):
    talking.answers["POST", STREAM] = [say.text(b"<html>gone</html>", "text/html", 404), say.events(*ANSWER)]
    said = nexus("chat", stdin="one\ntwo\n", interactive=True)
    assert (said.code, said.out) == (0, "Yes.\n")
    assert "none of nexus" in said.err
