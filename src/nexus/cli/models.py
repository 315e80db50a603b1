"""`nexus models`: which model answers, which others are at hand, and how to choose and try one."""

from argparse import SUPPRESS, ArgumentParser
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.cli.model_entry import SHOWN_NAMES, entry_of, find_local, keeps_entry, options_elsewhere
from nexus.cli.output import MARKS
from nexus.cli.parsing import Topics, shared_options, verb

if TYPE_CHECKING:
    from nexus.domain.ports.models import LocalModel
    from nexus.providers.checks import Check
    from nexus.providers.choice import Choice

OFFLINE_ANSWERS = "offline, the built-in stand-in without AI"


def add(topics: Topics) -> None:
    about = "show which model answers and which are at hand; choose one and try it"
    parser = topics.add_parser("models", help=about, description=about, parents=[shared_options()])
    parser.set_defaults(run=show)
    _add_directory(parser)
    verbs = parser.add_subparsers(metavar="VERB")
    using = verb(verbs, "use", "choose the model that answers, in models.toml in the data directory", local=use)
    using.add_argument("model", metavar="PROVIDER/NAME", help="such as openai/gpt-4o-mini, ollama/qwen3, or offline")
    using.add_argument(
        "--base-url", metavar="URL", help="where it is reached, where that is not its provider's own place"
    )
    keys = using.add_mutually_exclusive_group()
    keys.add_argument("--key-env", metavar="VAR", help="the environment variable that holds its key")
    keys.add_argument("--key-stdin", action="store_true", help="read its key from stdin, and keep it in models.toml")
    _add_directory(using)
    _add_directory(verb(verbs, "test", "ask the model for words, for a form and for a tool call", local=test))


def _add_directory(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir", default=SUPPRESS, help="where models.toml is (default: NEXUS_DATA_DIR, or ./data)"
    )


def _choice(asked: Asked) -> "Choice":
    from nexus.providers.choice import choose

    return choose(asked.settings_environ, data_dir=getattr(asked.arguments, "data_dir", None))


def show(asked: Asked) -> int:
    choice = _choice(asked)
    found = find_local(asked)
    document = {
        "answers": {
            "model": choice.name,
            "base_url": None if choice.is_offline else choice.settings.model.base_url,
            "key": choice.key_from or None,
            "source": choice.source,
            "problem": choice.fault or None,
        },
        "models": [entry.name for entry in choice.file.entries] if choice.file else [],
        "keys": _keys(asked),
        "local": [_place(asked, one) for one in found],
    }
    if asked.output.json:
        asked.output.document(document)
    else:
        _say(asked, choice, document)
    return OK


def _say(asked: Asked, choice: "Choice", document: dict[str, Any]) -> None:
    say = asked.output.line
    say(f"Answers now: {_about(choice)}")
    if choice.fault:
        say(f"  It cannot be used: {choice.fault}")
    others = [name for name in (*document["models"], "offline") if name != choice.name]
    if choice.file and others:
        say(f"In {choice.file.path} besides:")
        for name in others:
            say(f"  {_command(asked, name)}")
    say(
        "Found on this machine:"
        if document["keys"] or document["local"]
        else "Found on this machine: no key, no model."
    )
    for key in document["keys"]:
        say(f"  the key {key['variable']}\n      {key['use']}")
    for place in document["local"]:
        names = place["models"]
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        say(f"  {place['title']} at {place['base_url']}: {', '.join(names[:SHOWN_NAMES]) or 'no model loaded'}{more}")
        if place["use"]:
            say(f"      {place['use']}")
    if not document["keys"] and not document["local"]:
        say("  Run a model here, for example with Ollama (https://ollama.com), or set a key such as OPENAI_API_KEY.")
    if not choice.is_offline:
        say(f"Try it: {_command(asked, verb='test')}")


def _about(choice: "Choice") -> str:
    reason = {
        "default": "nothing else is configured",
        "environment": "the environment says so",
        "models.toml": f"{choice.file.path if choice.file else ''} says so",
    }[choice.source]
    if choice.is_offline:
        return f"{OFFLINE_ANSWERS} ({reason})"
    key = f"key from {choice.key_from}" if choice.key_from else "no key"
    return f"{choice.name} at {choice.settings.model.base_url} ({reason}; {key})"


def _keys(asked: Asked) -> list[dict[str, str]]:
    """The well-known keys in the environment, by name, and what to do with each."""
    from nexus.providers.catalog import PROVIDERS

    present = [one for one in PROVIDERS.values() if one.key_env and asked.environ.get(one.key_env, "").strip()]
    return [
        {
            "variable": one.key_env,
            "provider": one.name,
            "use": _command(asked, f"{one.name}/{one.example}", *options_elsewhere(asked, one)),
        }
        for one in present
    ]


def _place(asked: Asked, found: "LocalModel") -> dict[str, Any]:
    from nexus.providers.catalog import PROVIDERS, TITLES

    elsewhere = found.base_url != PROVIDERS[found.provider].base_url
    options = ["--base-url", found.base_url] if elsewhere else []
    use = _command(asked, f"{found.provider}/{found.names[0]}", *options) if found.names else None
    about = {"provider": found.provider, "title": TITLES[found.provider], "base_url": found.base_url}
    return {**about, "models": list(found.names), "use": use}


def _command(asked: Asked, *words: str, verb: str = "use") -> str:
    """A command that works as it is pasted."""
    directory = getattr(asked.arguments, "data_dir", None)
    return asked.command("models", verb, *words, *(("--data-dir", directory) if directory else ()))


def use(asked: Asked) -> int:
    from nexus.adapters.sqlite.lock import find_holder
    from nexus.providers.choice import says_where
    from nexus.providers.file import choose_model, read_file
    from nexus.settings import read
    from nexus.start import DIRECTORY_ADVICE, directory_fault

    settings = read(asked.settings_environ, data_dir=getattr(asked.arguments, "data_dir", None))
    data, name = settings.directory, asked.arguments.model
    if fault := directory_fault(data):
        raise Ended(USAGE, f"{fault}. {DIRECTORY_ADVICE}")
    now = read_file(data)
    entry = None if keeps_entry(asked, now.entry(name) if now else None) else entry_of(asked)
    file = choose_model(data, name, entry)
    holder, over = find_holder(data), says_where(asked.environ)
    chosen = file.entry(name)
    document = {
        "model": name,
        "base_url": chosen.address if chosen else None,
        "key": (chosen.key_env or ("models.toml" if chosen.key else None)) if chosen else None,
        "path": str(file.path),
        "restart": holder,
        "overridden_by": over,
    }
    if asked.output.json:
        asked.output.document(document)
    else:
        key = f", key from {document['key']}" if document["key"] else ", no key" if chosen else ""
        where = f" at {chosen.address}{key}" if chosen else ""
        asked.output.line(f"{name} answers from now on{where}: written to {file.path}.")
        if chosen:
            asked.output.line(f"Try it: {_command(asked, verb='test')}")
    if holder:
        asked.output.note(f"The server that works in {data} (process {holder}) keeps its model until it is restarted.")
    if over:
        asked.output.note(f"{', '.join(over)} in the environment wins over models.toml: unset it for this to count.")
    if chosen and chosen.key_env and not asked.environ.get(chosen.key_env, "").strip():
        asked.output.note(f"{chosen.key_env} is not set here: it has to be where nexus runs.")
    return OK


def test(asked: Asked) -> int:
    import asyncio

    from nexus.providers.checks import check_configured
    from nexus.providers.choice import read_settings

    choice = _choice(asked)
    settings = read_settings(asked.settings_environ, data_dir=getattr(asked.arguments, "data_dir", None))
    checks = [] if choice.is_offline else asyncio.run(check_configured(settings))
    if asked.output.json:
        asked.output.document({"model": choice.name, "checks": checks})
    elif choice.is_offline:
        asked.output.line(
            f"{OFFLINE_ANSWERS}. There is nothing to test; {asked.command('models')} shows what is at hand."
        )
    else:
        asked.output.line(_about(choice))
        _report(asked, checks)
    return OK if all(check.works for check in checks if check.name != "tool") else FAILED


def _report(asked: Asked, checks: "Sequence[Check]") -> None:
    from nexus.providers.checks import MEANINGS

    for check in checks:
        mark = MARKS["ok" if check.works else "fail"]
        asked.output.line(f"{mark} {check.name}: {check.detail} ({check.seconds:.1f} s)")
        if not check.works:
            asked.output.line(f"    {MEANINGS[check.name]}")
