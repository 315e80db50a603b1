"""The environment first, then `models.toml`, else the offline model."""

from pathlib import Path

import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.providers.choice import choose_model_settings, read_settings
from nexus.providers.file import Entry, set_default_model
from nexus.settings import Secret, Settings

DEEPSEEK = Entry(name="deepseek/deepseek-chat", base_url="https://api.deepseek.com/v1", key_env="DEEPSEEK_API_KEY")


@pytest.fixture
def data(tmp_path: Path) -> str:
    set_default_model(tmp_path, DEEPSEEK.name, DEEPSEEK)
    return str(tmp_path)


def read(data: str, **environ: str) -> Settings:
    return read_settings({"DEEPSEEK_API_KEY": "sk-file", **environ}, data_dir=data)


def test_without_a_word_the_offline_model_answers(tmp_path: Path):
    choice = choose_model_settings({}, data_dir=str(tmp_path))
    assert (choice.name, choice.source, choice.is_offline, choice.settings.model) == (
        "offline", "default", True, Settings().model,
    )  # fmt: skip


def test_the_file_says_which_model_answers_and_where_its_key_is(data: str):
    model = read(data, NEXUS_MODEL__TIMEOUT="7").model
    assert (model.provider, model.name, model.base_url, model.api_key.reveal(), model.timeout) == (
        "openai", "deepseek-chat", "https://api.deepseek.com/v1", "sk-file", 7,
    )  # fmt: skip
    choice = choose_model_settings({"DEEPSEEK_API_KEY": " sk-file "}, data_dir=data)
    assert (choice.name, choice.source, choice.key_from) == (
        "deepseek/deepseek-chat",
        "models.toml",
        "DEEPSEEK_API_KEY",
    )
    assert choose_model_settings({"NEXUS_DATA_DIR": data, "DEEPSEEK_API_KEY": "k"}).name == "deepseek/deepseek-chat"


def test_a_key_in_the_file_needs_no_variable(tmp_path: Path):
    set_default_model(tmp_path, "custom/x", Entry(name="custom/x", base_url="http://a/v1", key=Secret("sk-own")))
    choice = choose_model_settings({}, data_dir=str(tmp_path))
    assert (choice.settings.model.api_key.reveal(), choice.key_from) == ("sk-own", "models.toml")
    assert "sk-own" not in repr(choice)


@pytest.mark.parametrize(
    ("environ", "base_url", "key", "name"),
    [
        ({"NEXUS_MODEL__API_KEY": "sk-env"}, "https://api.openai.com/v1", "sk-env", "gpt-4o-mini"),
        ({"NEXUS_MODEL__BASE_URL": "http://b/v1"}, "http://b/v1", "", "gpt-4o-mini"),
        ({"NEXUS_MODEL__BASE_URL": "http://b/v1", "NEXUS_MODEL__NAME": "m"}, "http://b/v1", "", "m"),
    ],
)
def test_a_place_or_a_key_in_the_environment_wins_and_no_key_goes_to_another_place(
    data: str, environ: dict[str, str], base_url: str, key: str, name: str
):
    model = read(data, **environ).model
    assert (model.base_url, model.api_key.reveal(), model.name) == (base_url, key, name)
    assert choose_model_settings(environ, data_dir=data).source == "environment"


def test_the_offline_model_can_be_asked_for_over_the_file(data: str):
    choice = choose_model_settings({"NEXUS_MODEL__PROVIDER": "offline"}, data_dir=data)
    assert (choice.name, choice.source) == ("offline", "environment")


def test_a_name_alone_is_another_model_of_the_same_provider(data: str):
    model = read(data, NEXUS_MODEL__NAME="deepseek-reasoner").model
    assert (model.name, model.base_url, model.api_key.reveal()) == (
        "deepseek-reasoner", "https://api.deepseek.com/v1", "sk-file",
    )  # fmt: skip


def test_an_empty_variable_does_not_count(data: str):
    assert read(data, NEXUS_MODEL__BASE_URL=" ", NEXUS_MODEL__API_KEY="").model.name == "deepseek-chat"


@pytest.mark.parametrize("key", ["", "  "])
def test_a_key_that_is_not_there_is_told_by_its_variable_and_line(data: str, key: str):
    with pytest.raises(InvalidInput) as refusal:
        read(data, DEEPSEEK_API_KEY=key)
    assert refusal.value.detail.startswith(f"{data}/models.toml, line 7: the variable DEEPSEEK_API_KEY")
    assert choose_model_settings({}, data_dir=data).fault == refusal.value.detail


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"NEXUS_MODEL__PROVIDER": "openai"}, "NEXUS_MODEL__PROVIDER=openai needs NEXUS_MODEL__API_KEY"),
        ({"NEXUS_MODEL__BASE_URL": "http://a/v1/chat/completions"}, "NEXUS_MODEL__BASE_URL is wrong: "),
        ({"NEXUS_MODEL__BASE_URL": "http://a/v1?x=y"}, "NEXUS_MODEL__BASE_URL is wrong: "),
        ({"NEXUS_MODEL__API_KEY": '"canary"'}, "NEXUS_MODEL__API_KEY is wrong: "),
        ({"NEXUS_MODEL__API_KEY": "Bearer canary"}, "NEXUS_MODEL__API_KEY is wrong: "),
        ({"DEEPSEEK_API_KEY": "canary canary"}, "/models.toml, line 7: the variable DEEPSEEK_API_KEY is wrong: "),
    ],
)
def test_an_address_or_a_key_that_cannot_work_is_refused_by_the_name_of_its_variable(
    data: str, environ: dict[str, str], told: str
):
    with pytest.raises(InvalidInput) as refusal:
        read(data, **environ)
    assert told in refusal.value.detail
    assert "canary" not in refusal.value.detail
