"""The model that `nexus models use` names: its place and its key, each from where it may come."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import USAGE, Ended

if TYPE_CHECKING:
    from nexus.domain.ports.models import LocalModel
    from nexus.providers.catalog import Provider
    from nexus.providers.file import Entry

LONGEST_KEY = 8192
SHOWN_NAMES = 8


def find_local(asked: Asked) -> "list[LocalModel]":
    """The servers of models on this machine."""
    import asyncio

    from nexus.adapters.openai.discovery import LocalDiscovery, usual_places

    return asyncio.run(LocalDiscovery(usual_places(asked.environ)).find_local())


def options_elsewhere(asked: Asked, provider: "Provider") -> Sequence[str]:
    """The options for a key that is meant for another place than the provider's own, as `OPENAI_BASE_URL` says it."""
    from nexus.providers.catalog import address_fault

    url = asked.environ.get(provider.key_env.replace("_API_KEY", "_BASE_URL"), "").strip()
    if not url or url.rstrip("/") == provider.base_url or address_fault(url):
        return ()
    return ("--base-url", url, "--key-env", provider.key_env)


def keeps_entry(asked: Asked, known: "Entry | None") -> bool:
    """Whether only the choice changes: for `offline`, and for a model that the file has already."""
    wanted = asked.arguments
    options = bool(wanted.base_url or wanted.key_env or wanted.key_stdin)
    if wanted.model == "offline":
        if options:
            raise Ended(USAGE, "The offline model has neither an address nor a key.")
        return True
    return known is not None and not options


def entry_of(asked: Asked) -> "Entry":
    """The model as it was named, with the place and the key of its provider where none were given."""
    from nexus.providers.catalog import CUSTOM, address_fault, is_local, is_open_wire, provider_of
    from nexus.providers.file import Entry
    from nexus.settings import Secret

    wanted = asked.arguments
    provider = provider_of(wanted.model)
    base_url = wanted.base_url or ""
    if not base_url and provider.name == CUSTOM:
        raise Ended(USAGE, f"{wanted.model} needs --base-url, such as http://127.0.0.1:9000/v1.")
    if base_url and (fault := address_fault(base_url)):
        raise Ended(USAGE, f"--base-url is wrong: {fault}")
    if base_url.rstrip("/") == provider.base_url:
        base_url = ""
    if not base_url and is_local(provider.name):
        base_url = _address_here(asked, wanted.model)
    if not wanted.base_url and (options := options_elsewhere(asked, provider)):
        asked.output.note(f"{provider.key_env} seems to be for another place: use it there with {' '.join(options)}.")
    key = Secret(_read_key(asked)) if wanted.key_stdin else Secret()
    key_env = wanted.key_env or ("" if key or base_url else provider.key_env)
    _check_variable(asked, key_env, wanted.model)
    if provider.key_env and not key and not key_env:
        asked.output.note(f"No key goes to {base_url}: name one with --key-env, or hand it in with --key-stdin.")
    if (key or key_env) and is_open_wire(base_url):
        asked.output.note(f"The key goes to {base_url} without encryption: https:// would hide it.")
    return Entry(name=wanted.model, base_url=base_url or provider.base_url, key_env=key_env, key=key)


def _check_variable(asked: Asked, name: str, model: str) -> None:
    """A variable that was named may be set elsewhere; one that nobody named must be there."""
    from nexus.providers.catalog import key_fault
    from nexus.providers.reading import VARIABLE

    if name and not VARIABLE.fullmatch(name):
        raise Ended(USAGE, "--key-env takes the name of a variable, not a key: other users can read arguments.")
    held = asked.environ.get(name, "").strip()
    if name and not held and not asked.arguments.key_env:
        ways = "Set it, name another with --key-env VAR, or hand the key in with --key-stdin."
        raise Ended(USAGE, f"{model} needs a key, and {name} is not set. {ways}")
    if fault := key_fault(held):
        raise Ended(USAGE, f"{name} is wrong: {fault}")


def _address_here(asked: Asked, name: str) -> str:
    """Where the server of this provider answers now, else its usual place; says so when it has no such model."""
    from nexus.providers.catalog import PROVIDERS, TITLES

    provider, _, model = name.partition("/")
    here = next((one for one in find_local(asked) if one.provider == provider), None)
    if here is None:
        base_url = PROVIDERS[provider].base_url
        asked.output.note(f"No {TITLES[provider]} answers now: it is expected at {base_url}.")
        return base_url
    if here.names and not {model, f"{model}:latest"} & set(here.names):
        has = ", ".join(here.names[:SHOWN_NAMES])
        asked.output.note(f"{TITLES[provider]} at {here.base_url} does not list {model} now; it has {has}.")
    return here.base_url


def _read_key(asked: Asked) -> str:
    from nexus.providers.catalog import key_fault

    if asked.output.is_interactive:
        from getpass import getpass

        key = getpass("Key (it is not shown): ").strip()
    else:
        key = asked.output.source.read(LONGEST_KEY + 1).strip()
    if not key:
        raise Ended(USAGE, "There is no key on stdin.")
    if fault := ("it is too long." if len(key) > LONGEST_KEY else key_fault(key)):
        raise Ended(USAGE, f"The key is wrong: {fault}")
    return key
