import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from nexus.cli import run
from nexus.cli.output import Output
from tests.client.fake import Fake, beside


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


@pytest.fixture
def fake() -> Iterator[Fake]:
    with beside(Fake()) as fake:
        yield fake


@pytest.fixture
def nexus(fake: Fake) -> Nexus:
    """Runs a command against the fake."""

    def command(*argv: str, stdin: str = "", interactive: bool = False, **environ: str) -> Said:
        out, err = io.StringIO(), io.StringIO()
        output = Output(stdin=io.StringIO(stdin), stdout=out, stderr=err, interactive=interactive)
        code = run(argv, environ={"NEXUS_URL": fake.url, **environ}, output=output)
        return Said(code, out.getvalue(), err.getvalue())

    return command
