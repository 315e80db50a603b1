"""Which model answers, and why: the environment first, then `models.toml`, else the offline one."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec.structs import replace

from nexus.domain.core.errors import InvalidInput
from nexus.providers.catalog import OFFLINE, find_api_key_fault, find_base_url_fault
from nexus.providers.file import Entry, ModelsFile, read_models_file
from nexus.settings import PREFIX, Model, Secret, Settings, describe_missing_api_key, parse_environment

_PLACE = ("PROVIDER", "BASE_URL", "API_KEY")
"""Where a model is and its key belong together: one variable of them, and the file does not count."""


class Choice(NamedTuple):
    """`name` is `offline`, or what people call the model; `key_from` names where its key is, never the key.

    `fault` says why it cannot be used as it is; `settings` then lack its key."""

    settings: Settings
    name: str
    source: Literal["default", "environment", "models.toml"]
    key_from: str = ""
    fault: str = ""
    file: ModelsFile | None = None

    @property
    def is_offline(self) -> bool:
        return self.settings.model.provider == OFFLINE

    def get_usable_settings(self) -> Settings:
        """InvalidInput says why they cannot be used."""
        if self.fault:
            raise InvalidInput(self.fault)
        return self.settings


def read_settings(environ: Mapping[str, str], **overrides: object) -> Settings:
    """As `settings.read`, with the model of `models.toml` where the environment names none. InvalidInput for what cannot be used."""
    return choose_model_settings(environ, **overrides).get_usable_settings()


def choose_model_settings(environ: Mapping[str, str], **overrides: object) -> Choice:
    """What answers with these settings. InvalidInput for wrong settings, and for a file that cannot be read."""
    settings = parse_environment(environ, **overrides)
    file = read_models_file(settings.data_directory)
    if list_model_env_vars(environ):
        is_offline = settings.model.provider == OFFLINE
        key_from = f"{PREFIX}MODEL__API_KEY" if settings.model.api_key and not is_offline else ""
        name = OFFLINE if is_offline else settings.model.name
        return Choice(settings, name, "environment", key_from, _find_model_env_fault(settings.model), file)
    if file is None or (entry := file.find_model_entry(file.default)) is None:
        return Choice(settings, OFFLINE, "models.toml" if file else "default", file=file)
    provider, _, own_name = entry.name.partition("/")
    name = environ.get(f"{PREFIX}MODEL__NAME", "").strip() or own_name
    key = Secret(environ.get(entry.key_env, "").strip()) if entry.key_env else entry.key
    model = Model(
        provider="openai", base_url=entry.resolved_base_url, api_key=key, name=name, timeout=settings.model.timeout
    )
    key_from = entry.key_env or ("models.toml" if key else "")
    fault = _describe_key_env_fault(entry, key, file)
    return Choice(replace(settings, model=model), f"{provider}/{name}", "models.toml", key_from, fault, file)


def list_model_env_vars(environ: Mapping[str, str]) -> list[str]:
    """The variables that name a model's place or key, and so win over the file."""
    names = [f"{PREFIX}MODEL__{name}" for name in _PLACE]
    return [name for name in names if environ.get(name, "").strip()]


def _find_model_env_fault(model: Model) -> str:
    if model.provider == OFFLINE:
        return ""
    if fault := find_base_url_fault(model.base_url):
        return f"{PREFIX}MODEL__BASE_URL is wrong: {fault}"
    fault = find_api_key_fault(model.api_key.reveal())
    return f"{PREFIX}MODEL__API_KEY is wrong: {fault}" if fault else describe_missing_api_key(model)


def _describe_key_env_fault(entry: Entry, key: Secret, file: ModelsFile) -> str:
    if not entry.key_env:
        return ""
    where = f"{file.path}, line {entry.line}: the variable {entry.key_env}"
    if not key:
        ways = f"Set it where nexus runs, or hand the key in: nexus models use {entry.name} --key-stdin"
        return f"{where}, which holds the key of {entry.name}, is not set. {ways}"
    fault = find_api_key_fault(key.reveal())
    return f"{where} is wrong: {fault}" if fault else ""
