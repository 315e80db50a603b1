"""`nexus doctor`: is everything there, and what to do where it is not."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK
from nexus.cli.parsing import Topics, shared

if TYPE_CHECKING:
    from nexus.wiring import Finding

MARKS = {"ok": "✔", "warn": "!", "fail": "✘"}


def add(topics: Topics) -> None:
    about = "check this machine and its settings, and say what to do"
    parser = topics.add_parser("doctor", help=about, description=about, parents=[shared()])
    parser.add_argument("--data-dir", help="where everything is kept (default: NEXUS_DATA_DIR, or ./data)")
    parser.set_defaults(run=doctor)


def doctor(asked: Asked) -> int:
    import asyncio

    from nexus import settings, wiring

    found = settings.read(asked.settings_environ, data_dir=asked.arguments.data_dir)
    return told(asked, [*wiring.examine(found), asyncio.run(_server(asked))])


def told(asked: Asked, findings: "list[Finding]") -> int:
    if asked.output.json:
        asked.output.document(findings)
    else:
        for finding in findings:
            asked.output.line(f"{MARKS[finding.state]} {finding.name}: {finding.detail}")
            if finding.advice and finding.state != "ok":
                asked.output.line(f"    {finding.advice}")
    return FAILED if any(finding.state == "fail" for finding in findings) else OK


async def _server(asked: Asked) -> "Finding":
    from nexus.cli.connection import client_for
    from nexus.client import Unreachable
    from nexus.wiring import Finding

    async with client_for(asked) as client:
        try:
            if await client.ready():
                return Finding("server", "ok", f"{client.url} takes work", "")
            return Finding("server", "warn", f"{client.url} is not ready", "It starts, ends, or has lost its store.")
        except Unreachable as away:
            return Finding("server", "warn", f"{client.url}: {away.reason}", "Start one with `nexus serve`.")
