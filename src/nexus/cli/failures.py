"""What goes wrong, as a sentence and an exit code."""

import traceback

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, REFUSED, UNREACHABLE, USAGE, Ended
from nexus.client.errors import ApiError, NotNexus, Unreachable
from nexus.domain.core.errors import InvalidInput, NexusError


def report_failure(error: Exception, asked: Asked) -> int:
    """Says it, and answers the exit code."""
    if asked.is_debug:
        asked.output.stderr.writelines(traceback.format_exception(error))
    match error:
        case Ended():
            asked.output.write_note(
                f"nexus: {error.sentence}" + (f" {asked.format_command(*error.then)}" if error.then else "")
            )
            return error.code
        case ApiError():
            return _print_api_error(error, asked)
        case Unreachable():
            asked.output.write_note(f"nexus: {_describe_unreachable_server(error, asked)}")
            return UNREACHABLE
        case NexusError():
            asked.output.write_note(f"nexus: {asked.replace_program_name(error.detail)}")
            return USAGE if isinstance(error, InvalidInput) else FAILED
    hint = "" if asked.is_debug else " NEXUS_DEBUG=1 shows where."
    asked.output.write_note(f"nexus: unexpected {type(error).__name__}: {error}.{hint}")
    return FAILED


def _print_api_error(error: ApiError, asked: Asked) -> int:
    problem = error.problem
    mark = f", request {problem.request_id}" if problem.request_id else ""
    said = problem.detail if problem.detail.startswith(problem.title) else f"{problem.title}: {problem.detail}"
    asked.output.write_note(f"nexus: {said} ({problem.status}{mark})")
    for fault in problem.errors:
        if fault.message not in problem.detail:
            asked.output.write_note(f"  {fault.pointer}: {fault.message}")
    if problem.status == 401:
        asked.output.write_note("  Set NEXUS_TOKEN to the server's token.")
    if problem.verdict and "agent" in asked.arguments:
        from nexus.cli.verdicts import deploy_command

        wanted = asked.arguments
        way = deploy_command(asked, wanted.agent, problem.verdict, getattr(wanted, "version", None))
        asked.output.write_note(f"  Deploy it all the same: {way}")
    if asked.output.json:
        asked.output.write_json_document({"problem": problem})
    return REFUSED


def _describe_unreachable_server(error: Unreachable, asked: Asked) -> str:
    if isinstance(error, NotNexus):
        return f"At {error.url}, {error.reason}. Name a nexus server with --url."
    ways = f"Start one with `{asked.format_command('serve')}`"
    if "serve" in asked.arguments:
        ways += ", or add --serve to have one started for this command alone"
    return f"No server to work with at {error.url}: {error.reason}. {ways}, or name another with --url."
