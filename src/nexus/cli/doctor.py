"""`nexus doctor`: is everything there, and what to do where it is not."""

import asyncio

from nexus.cli.asked import Asked
from nexus.cli.crash_test import run_crash_test
from nexus.cli.exits import FAILED, OK
from nexus.cli.servers import connect_client
from nexus.client import ApiError, Unreachable
from nexus.doctor import Finding, diagnose_installation
from nexus.providers.choice import read_settings
from nexus.settings import Settings


def doctor(asked: Asked) -> int:
    found = read_settings(asked.settings_environ, data_dir=asked.arguments.data_dir)
    if asked.arguments.chaos:
        return report_findings(
            asked, asyncio.run(run_crash_test(asked.output.write_note, found, asked.settings_environ))
        )
    return report_findings(asked, asyncio.run(_diagnose_machine_and_server(asked, found)))


async def _diagnose_machine_and_server(asked: Asked, found: Settings) -> list[Finding]:
    return [*await diagnose_installation(found), await _diagnose_server(asked)]


def report_findings(asked: Asked, findings: list[Finding]) -> int:
    if asked.output.json:
        asked.output.write_json_document(findings)
    else:
        for finding in findings:
            about = f"{finding.name}: {asked.replace_program_name(finding.detail)}"
            asked.output.write_check_result(finding.state, about, asked.replace_program_name(finding.advice))
    return FAILED if any(finding.state == "fail" for finding in findings) else OK


async def _diagnose_server(asked: Asked) -> Finding:
    async with connect_client(asked) as client:
        try:
            if await client.ready():
                return Finding("server", "ok", f"{client.url} takes work")
            seen, advice = " is not ready", "It starts, ends, or has lost its store."
        except ApiError as refusal:
            seen, advice = f" answers /ready with {refusal.problem.status}", "Name another server with --url."
        except Unreachable as away:
            seen, advice = f": {away.reason}", "Start one with `nexus serve`."
    return Finding("server", "warn", f"{client.url}{seen}", advice)
