"""`nexus models`: which model answers, which others are at hand, and how to choose and try one."""

from argparse import SUPPRESS, ArgumentParser

from nexus.cli.asked import Asked
from nexus.cli.parsing import Local, Topics, shared_options, verb


def add(topics: Topics) -> None:
    about = "show which model answers and which are at hand; choose one and try it"
    parser = topics.add_parser("models", help=about, description=about, parents=[shared_options()])
    parser.set_defaults(run=_later("show"))
    _add_directory(parser)
    verbs = parser.add_subparsers(metavar="VERB")
    about = "choose the model that answers, in models.toml in the data directory"
    using = verb(verbs, "use", about, local=_later("use"))
    using.add_argument("model", metavar="PROVIDER/NAME", help="such as openai/gpt-4o-mini, ollama/qwen3, or offline")
    using.add_argument(
        "--base-url", metavar="URL", help="where it is reached, where that is not its provider's own place"
    )
    keys = using.add_mutually_exclusive_group()
    keys.add_argument("--key-env", metavar="VAR", help="the environment variable that holds its key")
    keys.add_argument("--key-stdin", action="store_true", help="read its key from stdin, and keep it in models.toml")
    _add_directory(using)
    about = "ask the model for words, for a form and for a tool call"
    _add_directory(verb(verbs, "test", about, local=_later("test")))


def _add_directory(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", default=SUPPRESS, help="where models.toml is (default: NEXUS_DATA_DIR, or ./data)"
    )


def _later(name: str) -> Local:
    """The command of that name, whose imports every other command does without."""

    def run(asked: Asked) -> int:
        from nexus.cli import model_setup

        command: Local = getattr(model_setup, name)
        return command(asked)

    return run
