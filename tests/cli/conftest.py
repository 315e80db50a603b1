import io
import json
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from nexus.cli import run
from nexus.cli.output import Output
from tests.client import fake as say
from tests.client.fake import Fake, beside
from tests.client.things import agent, session


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Nexus = Callable[..., Said]


class Screen(io.StringIO):
    """Somebody watches it, and presses Ctrl-C once this text is there."""

    def __init__(self, press_at: str | None) -> None:
        super().__init__()
        self._press_at = press_at

    def write(self, text: str, /) -> int:
        written = super().write(text)
        if self._press_at and self._press_at in self.getvalue():
            self._press_at = None
            signal.raise_signal(signal.SIGINT)
        return written


@pytest.fixture
def fake() -> Iterator[Fake]:
    with beside(Fake()) as fake:
        yield fake


@pytest.fixture
def nexus(fake: Fake) -> Nexus:
    """Runs a command against the fake."""

    def command(
        *argv: str,
        stdin: str = "",
        interactive: bool = False,
        press_at: str | None = None,
        columns: int | None = None,
        program: str = "nexus",
        **environ: str,
    ) -> Said:
        out, err = Screen(press_at), Screen(press_at)
        output = Output(stdin=io.StringIO(stdin), stdout=out, stderr=err, interactive=interactive, columns=columns)
        code = run(argv, environ={"NEXUS_URL": fake.url, **environ}, output=output, program=program)
        return Said(code, out.getvalue(), err.getvalue())

    return command


@pytest.fixture
def talking(fake: Fake) -> Fake:
    fake.on("GET", "/ready", say.good({"status": "ready"}))
    older = agent("agt_0", slug="older", agent_name="Older", created_at="2025-01-01T00:00:00.000Z")
    fake.on("GET", "/api/v2/agents", say.listed([older, agent()]))
    fake.on("GET", "/api/v2/agents/agt_1", say.good(agent()))
    fake.on("GET", "/api/v2/sessions/ses_1", say.good(session()))
    return fake.on("POST", "/api/v2/agents/agt_1/sessions", say.good(session(), 201))
