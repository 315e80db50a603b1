"""What `nexus models` does: shows which model answers, chooses one with its place and its key, and tries it."""

import asyncio
from collections.abc import Sequence
from getpass import getpass
from typing import Any

from nexus.adapters.openai.discovery import LocalDiscovery, list_local_server_ports
from nexus.adapters.sqlite.lock import find_lock_holder_pid
from nexus.cli.asked import Asked
from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.domain.ports.models import LocalModel
from nexus.providers import catalog
from nexus.providers.catalog import OFFLINE, PROVIDERS, TITLES, Provider, find_api_key_fault, find_base_url_fault
from nexus.providers.choice import Choice, choose_model_settings, list_model_env_vars
from nexus.providers.file import VARIABLE, Entry, read_models_file, set_default_model
from nexus.settings import Secret, parse_environment
from nexus.start import DIRECTORY_ADVICE, find_data_dir_fault

OFFLINE_ANSWERS = "offline, the built-in stand-in without AI"
LONGEST_KEY = 8192
SHOWN_NAMES = 8


def _format_models_command(asked: Asked, *words: str, verb: str = "use") -> str:
    """A command that works as it is pasted."""
    directory = asked.arguments.data_dir
    return asked.format_command("models", verb, *words, *(("--data-dir", directory) if directory else ()))


def _find_local_models(asked: Asked) -> list[LocalModel]:
    """The servers of models on this machine."""
    return asyncio.run(LocalDiscovery(list_local_server_ports(asked.environ)).find_local_models())


def show(asked: Asked) -> int:
    choice = choose_model_settings(asked.settings_environ, data_dir=asked.arguments.data_dir)
    document = {
        "answers": {
            "model": choice.name,
            "base_url": None if choice.is_offline else choice.settings.model.base_url,
            "key": choice.key_from or None,
            "source": choice.source,
            "problem": choice.fault or None,
        },
        "models": [entry.name for entry in choice.file.entries] if choice.file else [],
        "keys": [_describe_api_key(asked, one) for one in PROVIDERS.values() if _read_env_variable(asked, one.key_env)],
        "local": [_describe_model_server(asked, one) for one in _find_local_models(asked)],
    }
    if asked.output.json:
        asked.output.write_json_document(document)
    else:
        asked.output.write_line("\n".join(_format_model_overview(asked, choice, document)))
    return OK


def _format_model_overview(asked: Asked, choice: Choice, document: dict[str, Any]) -> list[str]:
    lines = [f"Answers now: {_format_active_model(choice)}"]
    if choice.fault:
        lines.append(f"  It cannot be used: {choice.fault}")
    others = [name for name in (*document["models"], OFFLINE) if name != choice.name]
    if choice.file and others:
        lines += [f"In {choice.file.path} besides:", *(f"  {_format_models_command(asked, name)}" for name in others)]
    if not document["keys"] and not document["local"]:
        lines.append("Found on this machine: no key, no model.")
        lines.append(
            "  Run a model here, for example with Ollama (https://ollama.com), or set a key such as OPENAI_API_KEY."
        )
    else:
        lines.append("Found on this machine:")
    for key in document["keys"]:
        lines += [f"  the key {key['variable']}", f"      {key['use']}"]
    for place in document["local"]:
        names = place["models"]
        more = f" and {len(names) - SHOWN_NAMES} more" if len(names) > SHOWN_NAMES else ""
        listed = ", ".join(names[:SHOWN_NAMES]) or "no model loaded"
        lines.append(f"  {place['title']} at {place['base_url']}: {listed}{more}")
        lines += [f"      {place['use']}"] if place["use"] else []
    return lines if choice.is_offline else [*lines, f"Try it: {_format_models_command(asked, verb='test')}"]


def _format_active_model(choice: Choice) -> str:
    reason = {
        "default": "nothing else is configured",
        "environment": "the environment says so",
        "models.toml": f"{choice.file.path if choice.file else ''} says so",
    }[choice.source]
    if choice.is_offline:
        return f"{OFFLINE_ANSWERS} ({reason})"
    key = f"key from {choice.key_from}" if choice.key_from else "no key"
    return f"{choice.name} at {choice.settings.model.base_url} ({reason}; {key})"


def _read_env_variable(asked: Asked, variable: str) -> str:
    """What a variable holds; empty where it is not set, or none is named."""
    return asked.environ.get(variable, "").strip() if variable else ""


def _describe_api_key(asked: Asked, provider: Provider) -> dict[str, str]:
    """A well-known key in the environment, by name, and what to do with it."""
    use = _format_models_command(asked, f"{provider.name}/{provider.example}", *_make_base_url_options(asked, provider))
    return {"variable": provider.key_env, "provider": provider.name, "use": use}


def _describe_model_server(asked: Asked, found: LocalModel) -> dict[str, Any]:
    elsewhere = found.base_url != PROVIDERS[found.provider].base_url
    options = ["--base-url", found.base_url] if elsewhere else []
    use = _format_models_command(asked, f"{found.provider}/{found.names[0]}", *options) if found.names else None
    about = {"provider": found.provider, "title": TITLES[found.provider], "base_url": found.base_url}
    return {**about, "models": list(found.names), "use": use}


def _make_base_url_options(asked: Asked, provider: Provider) -> Sequence[str]:
    """The options for a key that is meant for another place than the provider's own, as `OPENAI_BASE_URL` says it."""
    url = _read_env_variable(asked, provider.key_env.replace("_API_KEY", "_BASE_URL"))
    if not url or url.rstrip("/") == provider.base_url or find_base_url_fault(url):
        return ()
    return ("--base-url", url, "--key-env", provider.key_env)


def use(asked: Asked) -> int:
    data, name = (
        parse_environment(asked.settings_environ, data_dir=asked.arguments.data_dir).data_directory,
        asked.arguments.model,
    )
    if fault := find_data_dir_fault(data):
        raise Ended(USAGE, f"{fault}. {DIRECTORY_ADVICE}")
    now = read_models_file(data)
    file = set_default_model(
        data,
        name,
        None if _is_entry_unchanged(asked, now.find_model_entry(name) if now else None) else _make_model_entry(asked),
    )
    holder, over, chosen = find_lock_holder_pid(data), list_model_env_vars(asked.environ), file.find_model_entry(name)
    key = (chosen.key_env or ("models.toml" if chosen.key else None)) if chosen else None
    if asked.output.json:
        place = {"base_url": chosen.resolved_base_url if chosen else None, "key": key, "path": str(file.path)}
        asked.output.write_json_document({"model": name, **place, "restart": holder, "overridden_by": over})
    else:
        where = f" at {chosen.resolved_base_url}, {f'key from {key}' if key else 'no key'}" if chosen else ""
        asked.output.write_line(f"{name} answers from now on{where}: written to {file.path}.")
        if chosen:
            asked.output.write_line(f"Try it: {_format_models_command(asked, verb='test')}")
    if holder:
        asked.output.write_note(f"The server in {data} (process {holder}) keeps its model until it is restarted.")
    if over:
        asked.output.write_note(f"{', '.join(over)} in the environment wins over models.toml: unset it to use this.")
    if chosen and chosen.key_env and not _read_env_variable(asked, chosen.key_env):
        asked.output.write_note(f"{chosen.key_env} is not set here: it has to be where nexus runs.")
    return OK


def _is_entry_unchanged(asked: Asked, known: Entry | None) -> bool:
    """Whether only the choice changes: for `offline`, and for a model that the file has already."""
    wanted = asked.arguments
    options = bool(wanted.base_url or wanted.key_env or wanted.key_stdin)
    if wanted.model == OFFLINE and options:
        raise Ended(USAGE, "The offline model has neither an address nor a key.")
    return wanted.model == OFFLINE or (known is not None and not options)


def _make_model_entry(asked: Asked) -> Entry:
    """The model as it was named, with the place and the key of its provider where none were given."""
    wanted, provider = asked.arguments, catalog.get_model_provider(asked.arguments.model)
    base_url = wanted.base_url or ""
    if not base_url and provider.name == catalog.CUSTOM:
        raise Ended(USAGE, f"{wanted.model} needs --base-url, such as http://127.0.0.1:9000/v1.")
    if base_url and (fault := find_base_url_fault(base_url)):
        raise Ended(USAGE, f"--base-url is wrong: {fault}")
    if base_url.rstrip("/") == provider.base_url:
        base_url = ""
    if not base_url and provider.name in TITLES:
        base_url = _find_model_server_url(asked, provider)
    if not wanted.base_url and (options := _make_base_url_options(asked, provider)):
        asked.output.write_note(f"{provider.key_env} may be for another place: use it there with {' '.join(options)}.")
    key = Secret(_read_api_key(asked)) if wanted.key_stdin else Secret()
    key_env = wanted.key_env or ("" if key or base_url else provider.key_env)
    _check_key_variable(asked, key_env)
    if provider.key_env and not key and not key_env:
        asked.output.write_note(f"No key goes to {base_url}: name one with --key-env, or hand it in with --key-stdin.")
    if (key or key_env) and catalog.is_unencrypted_url(base_url):
        asked.output.write_note(f"The key goes to {base_url} without encryption: https:// would hide it.")
    return Entry(name=wanted.model, base_url=base_url or provider.base_url, key_env=key_env, key=key)


def _check_key_variable(asked: Asked, name: str) -> None:
    """A variable that was named may be set elsewhere; one that nobody named must be there."""
    if name and not VARIABLE.fullmatch(name):
        raise Ended(USAGE, "--key-env takes the name of a variable, not a key: other users can read arguments.")
    if name and not _read_env_variable(asked, name) and not asked.arguments.key_env:
        ways = "Set it, name another with --key-env VAR, or hand the key in with --key-stdin."
        raise Ended(USAGE, f"{asked.arguments.model} needs a key, and {name} is not set. {ways}")
    if fault := find_api_key_fault(_read_env_variable(asked, name)):
        raise Ended(USAGE, f"{name} is wrong: {fault}")


def _find_model_server_url(asked: Asked, provider: Provider) -> str:
    """Where the server of this provider answers now, else its usual place; says so when it has no such model."""
    title, model = TITLES[provider.name], asked.arguments.model.partition("/")[2]
    here = next((one for one in _find_local_models(asked) if one.provider == provider.name), None)
    if here is None:
        asked.output.write_note(f"No {title} answers now: it is expected at {provider.base_url}.")
        return provider.base_url
    if here.names and not {model, f"{model}:latest"} & set(here.names):
        has = ", ".join(here.names[:SHOWN_NAMES])
        asked.output.write_note(f"{title} at {here.base_url} does not list {model} now; it has {has}.")
    return here.base_url


def _read_api_key(asked: Asked) -> str:
    asking = asked.output.is_interactive
    key = (getpass("Key (it is not shown): ") if asking else asked.output.stdin.read(LONGEST_KEY + 1)).strip()
    if not key:
        raise Ended(USAGE, "There is no key on stdin.")
    if fault := ("it is too long." if len(key) > LONGEST_KEY else find_api_key_fault(key)):
        raise Ended(USAGE, f"The key is wrong: {fault}")
    return key


def test(asked: Asked) -> int:
    from nexus.providers.checks import MEANINGS, probe_configured_model  # brings what opens a model

    choice = choose_model_settings(asked.settings_environ, data_dir=asked.arguments.data_dir)
    settings = choice.get_usable_settings()
    checks = [] if choice.is_offline else asyncio.run(probe_configured_model(settings))
    if asked.output.json:
        asked.output.write_json_document({"model": choice.name, "checks": checks})
    elif choice.is_offline:
        ways = f"There is nothing to test; {asked.format_command('models')} shows what is at hand."
        asked.output.write_line(f"{OFFLINE_ANSWERS}. {ways}")
    else:
        asked.output.write_line(_format_active_model(choice))
        for check in checks:
            about = f"{check.name}: {check.detail} ({check.seconds:.1f} s)"
            asked.output.write_check_result(check.works, about, None if check.works else MEANINGS[check.name])
    return OK if all(check.works for check in checks if check.name != "tool") else FAILED
