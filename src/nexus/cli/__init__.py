"""The `nexus` command: the parser, and what becomes of what goes wrong. Nothing heavy is imported before a command runs."""

import sys
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import replace

from nexus.cli import completion
from nexus.cli.asked import NAME, Asked, get_program_command
from nexus.cli.commands import add_cli_commands, make_shared_options
from nexus.cli.exits import INTERRUPTED, OK, PIPE_CLOSED
from nexus.cli.output import Output


def make_argument_parser(program: str = NAME) -> ArgumentParser:
    whole = ArgumentParser(
        prog=program,
        description="Describe an agent in a sentence; nexus builds it in visible stages, tests it, and you talk to it.",
        epilog=f"Start with: {program} build --serve 'An agent that converts units' — and then: {program} chat --serve",
        parents=[make_shared_options()],
    )
    whole.add_argument("--version", action=_Version, help="print the version and leave")
    add_cli_commands(whole.add_subparsers(metavar="COMMAND", required=True))
    return whole


class _Version(Action):
    """Looked up when it is asked for: finding a package costs time."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, SUPPRESS, nargs=0, help=help)

    def __call__(self, parser: ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"{NAME} {version(NAME)}\n")
        parser.exit()


def run(argv: Sequence[str], *, environ: Mapping[str, str], output: Output, program: str = NAME) -> int:
    """One command; answers its exit code."""
    try:
        arguments = make_argument_parser(program).parse_args(argv)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else OK
    wants_json, is_raw = (bool(getattr(arguments, name, False)) for name in ("json", "raw"))
    output = replace(output, json=wants_json, verbatim=is_raw)
    asked = Asked(arguments=arguments, environ=environ, output=output, program=program)
    try:
        code = _call_command_handler(asked)
        output.flush()
        return code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        output.discard_buffered_output()
        return PIPE_CLOSED
    except Exception as error:
        from nexus.cli.failures import report_failure

        return report_failure(error, asked)


def _call_command_handler(asked: Asked) -> int:
    from pkgutil import resolve_name

    if "on_server" not in asked.arguments:
        code: int = resolve_name(f"nexus.cli.{asked.arguments.run}")(asked)
        return code
    from nexus.cli.servers import on_server

    return on_server(asked, resolve_name(f"nexus.cli.{asked.arguments.on_server}"))


def main(argv: Sequence[str] | None = None) -> int:
    import os

    output = Output()
    output.ignore_encoding_errors()
    program = get_program_command(sys.orig_argv, os.environ)
    if completion.ASKED_BY_SHELL in os.environ:
        completion.print_shell_completions(make_argument_parser(program))
    return run(sys.argv[1:] if argv is None else argv, environ=os.environ, output=output, program=program)
