"""What can be typed: every command with its verbs and options. Functions are named, and imported when they are called."""

from argparse import SUPPRESS, ArgumentParser, ArgumentTypeError, _SubParsersAction
from collections.abc import Callable
from typing import TypeAlias

from nexus.cli.completion import HOW, SHELLS

Topics: TypeAlias = "_SubParsersAction[ArgumentParser]"
AGENT = "id, slug or name of the agent"
BUILD_COMMANDS = {
    "pause": "pause the build at its next step",
    "resume": "go on with a paused build",
    "stop": "stop the build for good",
    "retry": "build again from the stage that failed",
    "restart": "build again, from the first stage or a later one",
}


def add_cli_commands(topics: Topics) -> None:
    _add_serve_command(topics)
    _add_resources(topics)
    _add_migrate_command(topics)
    _add_promote_command(topics)
    _add_values_command(topics)
    _add_queues_commands(topics)
    _add_build_command(topics)
    _add_chat_command(topics)
    _add_projects_commands(topics)
    _add_agents_commands(topics)
    _add_sessions_commands(topics)
    tasks = _Topic(topics, "tasks", "see the work in the background", "task", "id of the task")
    tasks.add_list_subcommand("your tasks, newest first")
    tasks.add_item_subcommand("show", "one task")
    tools = _Topic(topics, "tools", "see the tools that agents may use", "tool", "id or name of the tool")
    tools.add_list_subcommand("the tools of the library").add_argument("--category", help="only those of this category")
    tools.add_item_subcommand("show", "one tool and its parameters")
    _add_models_commands(topics)
    doctor = _add_local_command(
        topics, "doctor", "check this machine and its settings, and say what to do", "doctor:doctor"
    )
    doctor.add_argument("--data-dir", help="where everything is kept (default: NEXUS_DATA_DIR, or ./data)")
    doctor.add_argument(
        "--chaos", action="store_true", help="kill a server of its own at work, and see that nothing is lost"
    )
    _add_agent_package_commands(topics)
    about = "print what makes a shell complete this command"
    completion = _add_local_command(topics, "completion", about, "completion:print_script")
    completion.description = f"{about}; {HOW}"
    completion.add_argument("shell", choices=SHELLS, help="the shell")


def make_shared_options() -> ArgumentParser:
    """The options that stand before or after a verb alike."""
    options = ArgumentParser(add_help=False, argument_default=SUPPRESS)
    group = options.add_argument_group("options of every command")
    group.add_argument("--url", help="the server (default: NEXUS_URL, or http://127.0.0.1:8000)")
    group.add_argument("--token", help="the bearer token; better in NEXUS_TOKEN, where other users do not see it")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout; JSON lines for streams")
    return options


def _add_subparser(topics: Topics, name: str, about: str) -> ArgumentParser:
    return topics.add_parser(name, help=about, description=about, parents=[make_shared_options()])


def _add_local_command(topics: Topics, name: str, about: str, run: str) -> ArgumentParser:
    """A command, or a verb of one, that finds its server itself, or needs none."""
    parser = _add_subparser(topics, name, about)
    parser.set_defaults(run=run)
    return parser


def _add_serve_option(parser: ArgumentParser) -> None:
    parser.add_argument("--serve", action="store_true", help="if no server answers, start one for this command")


class _Topic:
    """Verbs that are handed a client, most of them about one `thing`; their functions are in the module of the topic's name."""

    def __init__(self, topics: Topics, name: str, about: str, thing: str, about_thing: str) -> None:
        self._verbs = _add_subparser(topics, name, about).add_subparsers(metavar="VERB", required=True)
        self._name, self._thing, self._about_thing = name, thing, about_thing

    def add_item_subcommand(self, name: str, about: str, function: str | None = None) -> ArgumentParser:
        """A verb about one thing; `function`: where it has not the verb's name."""
        parser = self._add_subcommand(name, about, function or name)
        parser.add_argument(self._thing, type=parse_resource_id, help=self._about_thing)
        return parser

    def add_list_subcommand(self, about: str) -> ArgumentParser:
        parser = self._add_subcommand("list", about, f"list_{self._name}")
        many = parser.add_mutually_exclusive_group()
        number = make_int_parser(1, 10_000)
        many.add_argument("--limit", type=number, default=50, metavar="N", help="how many at most (default: 50)")
        many.add_argument("--all", action="store_true", help="every one")
        return parser

    def _add_subcommand(self, name: str, about: str, function: str) -> ArgumentParser:
        parser = _add_subparser(self._verbs, name, about)
        _add_serve_option(parser)
        parser.set_defaults(on_server=f"{self._name}:{function}")
        return parser


def _add_serve_command(topics: Topics) -> None:
    about = "run the server: API, pages and background work in one process"
    parser = _add_local_command(topics, "serve", about, "serve:serve")
    parser.add_argument("--host", help="the address to listen on (default: NEXUS_HOST, or 127.0.0.1)")
    parser.add_argument(
        "--port", type=make_int_parser(0, 65535), help="the port; 0 takes a free one (default: NEXUS_PORT, or 8000)"
    )
    parser.add_argument("--data-dir", help="where everything is kept (default: NEXUS_DATA_DIR, or ./data)")
    parser.add_argument(
        "--role", choices=("all", "api", "worker"), help="what this process does (default: NEXUS_ROLE, or all)"
    )
    parser.add_argument("--attached", action="store_true", help=SUPPRESS)
    worker = _add_local_command(
        topics, "worker", "run builds that other processes take: `serve --role worker`", "serve:serve"
    )
    worker.add_argument("--data-dir", help="where its own things are kept (default: NEXUS_DATA_DIR, or ./data)")
    worker.set_defaults(role="worker", host=None, port=None, attached=False)


def _add_resources(topics: Topics) -> None:
    about = "make the DynamoDB tables and SQS queues that servers need; may be run again"
    parser = _add_local_command(topics, "init-resources", about, "resources:init_resources")
    parser.add_argument(
        "--endpoint-url",
        help="DynamoDB and SQS at one other address (default: NEXUS_TABLES__ENDPOINT_URL, NEXUS_QUEUE__ENDPOINT_URL)",
    )
    parser.add_argument(
        "--list", action="store_true", help="show what is there and what is missing; exit code 1 for that"
    )
    parser.add_argument(
        "--clean", action="store_true", help="delete the tables with all their rows, and all messages, before"
    )
    parser.add_argument("--yes", action="store_true", help="delete without asking")


def _add_queues_commands(topics: Topics) -> None:
    parser = _add_local_command(topics, "queues", "show what lies in the queues between processes", "queues:show")
    verbs = parser.add_subparsers(metavar="VERB")
    about = "move the dead letters of a queue in SQS back into it"
    redrive = _add_local_command(verbs, "redrive", about, "queues:redrive")
    redrive.add_argument("name", metavar="NAME", help="the queue, such as nexus-build-queue")


def _add_migrate_command(topics: Topics) -> None:
    about = "change the rows that an earlier release wrote; servers may go on meanwhile"
    parser = _add_local_command(topics, "migrate", about, "migrate:migrate")
    parser.add_argument("--data-dir", help="where SQLite is kept (default: NEXUS_DATA_DIR, or ./data)")


def _add_promote_command(topics: Topics) -> None:
    about = "copy everything from SQLite to DynamoDB, or back, into an empty store; goes on where it was killed"
    parser = _add_local_command(topics, "promote", about, "promote:promote")
    stores = ("sqlite", "dynamodb")
    parser.add_argument("--from", dest="source", choices=stores, required=True, help="the store that is copied")
    parser.add_argument("--to", dest="target", choices=stores, required=True, help="the store that is filled")
    parser.add_argument("--data-dir", help="the directory of SQLite, from or to (default: NEXUS_DATA_DIR, or ./data)")
    root = "NEXUS_FILES__ROOT, or the data directory"
    parser.add_argument("--files-from", metavar="DIR", help=f"NEXUS_FILES__ROOT of the source (default: {root})")
    parser.add_argument("--files-to", metavar="DIR", help="that of the target (default: the same, nothing is copied)")
    parser.add_argument(
        "--verify", action="store_true", help="copy nothing: only compare; exit code 1 where they differ"
    )


def _add_values_command(topics: Topics) -> None:
    about = "delete large values to which no row in DynamoDB refers any more; servers may go on meanwhile"
    parser = _add_local_command(topics, "delete-unused-values", about, "values:delete_unused_values")
    parser.add_argument(
        "--grace-hours",
        type=make_int_parser(1, 10_000),
        default=24,
        metavar="N",
        help="how long one is kept after it was written, and again after it was found unused (default: 24)",
    )


def _add_build_command(topics: Topics) -> None:
    parser = _add_local_command(
        topics, "build", "describe an agent in a sentence and watch it being built", "build:build"
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("requirement", nargs="?", help="what the agent is to do; - reads it from stdin")
    asked.add_argument("--requirement-file", metavar="FILE", help="read what it is to do from a file; - is stdin")
    parser.add_argument("--name", help="what the project is called")
    parser.add_argument(
        "--priority", type=make_int_parser(1, 5), default=3, help="1 to 5, 5 is built first (default: 3)"
    )
    parser.add_argument("--tag", action="append", default=[], help="a tag of the project; as often as wanted")
    parser.add_argument("--detach", action="store_true", help="do not wait: print the project and return")
    _add_serve_option(parser)
    parser.add_argument("--allow-partial", action="store_true", help="deploy it also when it leaves requirements unmet")


def _add_chat_command(topics: Topics) -> None:
    parser = _add_local_command(topics, "chat", "talk to an agent; /help lists what can be typed", "chat:chat")
    parser.add_argument("agent", nargs="?", type=parse_resource_id, help="id, slug or name (default: the latest agent)")
    parser.add_argument("--session", type=parse_resource_id, metavar="ID", help="go on with a session")
    _add_message_options(parser)
    _add_serve_option(parser)


def _add_message_options(parser: ArgumentParser) -> None:
    """What is said where nobody types, and how answers are shown."""
    parser.add_argument(
        "--message", action="extend", nargs="+", default=[], metavar="TEXT",
        help="say this and leave; several are said one after the other; - reads one from stdin",
    )  # fmt: skip
    parser.add_argument("--raw", action="store_true", help="show answers as they are written, Markdown included")


def _add_projects_commands(topics: Topics) -> None:
    projects = _Topic(topics, "projects", "see, follow and command builds", "project", "id of the project")
    states = ("pending", "queued", "building", "completed", "failed", "paused", "cancelled")
    listed = projects.add_list_subcommand("the projects, newest first")
    listed.add_argument("--status", choices=states, help="only those in this state")
    projects.add_item_subcommand("show", "one project")
    projects.add_item_subcommand("stages", "the stages of its current build")
    projects.add_item_subcommand("files", "the paths of its files")
    projects.add_item_subcommand("report", "what verification found")
    projects.add_item_subcommand(
        "watch", "show its current build as a board, from the beginning, whether it goes on or is over"
    )
    projects.add_item_subcommand("cat", "the content of a file").add_argument(
        "path", help="path of the file, as `files` shows it"
    )
    events = projects.add_item_subcommand("events", "follow the events of the current build up to its end")
    events.add_argument("--after", type=make_int_parser(0, 10**8), default=0, help="only those behind this position")
    for name, about in BUILD_COMMANDS.items():
        parser = projects.add_item_subcommand(name, about, "command")
        parser.set_defaults(action=name, from_stage=None)
    parser.add_argument("--from-stage", help="the first stage that is done again")
    deleting = projects.add_item_subcommand("delete", "delete a project with its files and agents")
    deleting.add_argument("--stop-first", action="store_true", help="stop its build if it is being built")


def _add_agents_commands(topics: Topics) -> None:
    agents = _Topic(topics, "agents", "see, call and delete agents", "agent", AGENT)
    states, verdicts = ("running", "offline", "error", "building", "deploying"), ("passed", "partial", "failed")
    listed = agents.add_list_subcommand("the agents, newest first")
    listed.add_argument("--category", help="only those of this category")
    listed.add_argument("--status", choices=states, help="only those in this state")
    listed.add_argument("--verdict", choices=verdicts, help="only those of whose newest version verification said this")
    agents.add_item_subcommand("show", "one agent")
    agents.add_item_subcommand("versions", "the versions of an agent and what verification said of them")
    deploying = agents.add_item_subcommand(
        "deploy", "let a version of an agent answer, the newest one unless another is named"
    )
    deploying.add_argument(
        "--version", type=make_int_parser(1, 10**6), metavar="N", help="which one (default: the newest)"
    )
    deploying.add_argument("--allow-partial", action="store_true", help="also when it leaves requirements unmet")
    deploying.add_argument("--allow-failed", action="store_true", help="also when it failed its verification")
    agents.add_item_subcommand("delete", "delete an agent; its project keeps the files")
    invoking = agents.add_item_subcommand("invoke", "one question, one answer, no session")
    invoking.add_argument("message", help="what to say; - reads it from stdin")


def _add_sessions_commands(topics: Topics) -> None:
    sessions = _Topic(topics, "sessions", "see and delete conversations", "session", "id of the session")
    listed = sessions.add_list_subcommand("your sessions, by last activity")
    listed.add_argument("--agent", type=parse_resource_id, help="only those with this agent (id, slug or name)")
    sessions.add_item_subcommand("show", "one session")
    said = sessions.add_item_subcommand("messages", "what was said")
    said.add_argument("--limit", type=make_int_parser(1, 10_000), default=1000, help="how many at most (default: 1000)")
    sessions.add_item_subcommand("delete", "delete a session and what was said in it")


def _add_models_commands(topics: Topics) -> None:
    about = "show which model answers and which are at hand; choose one and try it"
    parser = _add_local_command(topics, "models", about, "models:show")
    parser.set_defaults(data_dir=None)
    verbs = parser.add_subparsers(metavar="VERB")
    using = _add_local_command(
        verbs, "use", "choose the model that answers, in models.toml in the data directory", "models:use"
    )
    using.add_argument("model", metavar="PROVIDER/NAME", help="such as openai/gpt-4o-mini, ollama/qwen3, or offline")
    using.add_argument(
        "--base-url", metavar="URL", help="where it is reached, where that is not its provider's own place"
    )
    keys = using.add_mutually_exclusive_group()
    keys.add_argument("--key-env", metavar="VAR", help="the environment variable that holds its key")
    keys.add_argument("--key-stdin", action="store_true", help="read its key from stdin, and keep it in models.toml")
    testing = _add_local_command(
        verbs, "test", "ask the model for words, for a form and for a tool call", "models:test"
    )
    for one in (parser, using, testing):
        one.add_argument(
            "--data-dir", default=SUPPRESS, help="where models.toml is (default: NEXUS_DATA_DIR, or ./data)"
        )


def _add_agent_package_commands(topics: Topics) -> None:
    parser = _add_subparser(topics, "agent", "run or test an agent package from its folder")
    verbs = parser.add_subparsers(metavar="VERB", required=True)
    running = _add_local_command(verbs, "run", "talk to the package in a folder, without a server", "agent:run")
    about = "run the unit tests and the behavioural cases of the package in a folder"
    for one in (running, _add_local_command(verbs, "test", about, "agent:test")):
        one.add_argument("directory", metavar="DIR", help="the folder that holds agent.toml")
    _add_message_options(running)


def make_int_parser(least: int, most: int) -> Callable[[str], int]:
    """The type of an option: a whole number within bounds."""

    def number(text: str) -> int:
        if not text.isdecimal() or not least <= int(text[:9]) <= most:
            raise ArgumentTypeError(f"{text!r} is no whole number from {least} to {most}")
        return int(text)

    return number


def parse_resource_id(text: str) -> str:
    """The type of an id: anything that the server may judge."""
    if not text.strip() or text in (".", ".."):
        raise ArgumentTypeError(f"{text!r} is no id")
    return text
