import pickle

import msgspec
import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.settings import OPENAI_URL, Secret, Settings, list_env_variables, parse_environment


def refusal(environ: dict[str, str]) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        parse_environment(environ)
    return caught.value


def test_nothing_said_means_a_laptop_without_a_key() -> None:
    settings = parse_environment({})
    assert settings == Settings()
    assert (settings.role, settings.host, settings.model.provider) == ("all", "127.0.0.1", "offline")


def test_text_becomes_what_the_field_wants() -> None:
    settings = parse_environment({"NEXUS_PORT": " 9001 ", "NEXUS_MODEL__TIMEOUT": "2.5", "NEXUS_LOG__FORMAT": "JSON"})
    assert (settings.port, settings.model.timeout, settings.log.format) == (9001, 2.5, "json")


def test_other_programs_variables_are_left_alone() -> None:
    assert parse_environment({"PATH": "/bin", "NEXU_PORT": "x", "MY_NEXUS_PORT": "x"}) == Settings()


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("NEXUS_PROT", "NEXUS_PORT"),
        ("NEXUS_MODEL_API_KEY", "NEXUS_MODEL__API_KEY"),
        ("NEXUS_MODEL__APIKEY", "NEXUS_MODEL__API_KEY"),
        ("NEXUS_DATADIR", "NEXUS_DATA_DIR"),
        ("NEXUS_AUTH_TOKEN", "NEXUS_AUTH__TOKEN"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_right_one(wrong: str, right: str) -> None:
    assert refusal({wrong: "1"}).detail == f"{wrong} is no setting. Do you mean {right}?"


def test_a_name_like_no_other_is_refused_without_a_guess() -> None:
    assert refusal({"NEXUS_": "1"}).detail == "NEXUS_ is no setting."
    assert refusal({"NEXUS_QQQQQQQQQQQQ": "1"}).detail == "NEXUS_QQQQQQQQQQQQ is no setting."


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("NEXUS_PORT", "eighty"),
        ("NEXUS_PORT", "65536"),
        ("NEXUS_PORT", "-1"),
        ("NEXUS_ROLE", "boss"),
        ("NEXUS_MODEL__PROVIDER", "none"),
        ("NEXUS_MODEL__BASE_URL", "ftp://somewhere"),
        ("NEXUS_MODEL__BASE_URL", "localhost:11434"),
        ("NEXUS_MODEL__TIMEOUT", "0"),
        ("NEXUS_MODEL__TIMEOUT", "nan"),
        ("NEXUS_MODEL__TIMEOUT", "inf"),
        ("NEXUS_BUILDS__CONCURRENCY", "0"),
        ("NEXUS_BUILDS__CONCURRENCY", "1.5"),
        ("NEXUS_TABLES__PREFIX", "名"),
        ("NEXUS_LOG__LEVEL", "loud"),
        ("NEXUS_LIMITS__REPLIES", "0"),
    ],
)
def test_a_wrong_value_names_its_variable(name: str, value: str) -> None:
    error = refusal({name: value})
    assert error.detail.startswith(f"{name} is wrong: ")
    assert [one["pointer"] for one in error.facts["errors"]] == [name]


def test_all_that_is_wrong_is_told_at_once() -> None:
    error = refusal({"NEXUS_PORT": "x", "NEXUS_ROLE": "boss", "NEXUS_HOTS": "y"})
    assert [one["pointer"] for one in error.facts["errors"]] == ["NEXUS_HOTS", "NEXUS_PORT", "NEXUS_ROLE"]


@pytest.mark.parametrize("name", [variable.name for variable in list_env_variables()])
def test_an_empty_value_is_no_value(name: str) -> None:
    assert parse_environment({name: ""}) == parse_environment({name: "  "}) == Settings()


def test_an_override_wins_unless_it_is_none() -> None:
    settings = parse_environment({"NEXUS_PORT": "1", "NEXUS_HOST": "::1"}, port=2, host=None, model__name="qwen")
    assert (settings.port, settings.host, settings.model.name) == (2, "::1", "qwen")
    with pytest.raises(InvalidInput, match="NEXUS_PORTS is no setting"):
        parse_environment({}, ports=2)


def test_a_key_alone_chooses_the_provider_it_is_for() -> None:
    settings = parse_environment({"NEXUS_MODEL__API_KEY": "sk-1"})
    assert (settings.model.provider, settings.model.base_url, settings.model.name) == (
        "openai",
        OPENAI_URL,
        "gpt-4o-mini",
    )
    assert parse_environment({"NEXUS_MODEL__BASE_URL": "http://localhost:11434/v1"}).model.provider == "openai"
    assert (
        parse_environment({"NEXUS_MODEL__API_KEY": "sk-1", "NEXUS_MODEL__PROVIDER": "offline"}).model.provider
        == "offline"
    )


FALLBACK = {"DYNAMODB_ENDPOINT_URL": "http://t:1", "SQS_ENDPOINT_URL": "http://q:2", "AWS_REGION": "eu-west-1"}


def read_aws(environ: dict[str, str]) -> tuple[str, ...]:
    read = parse_environment(environ)
    return read.tables.endpoint_url, read.queue.endpoint_url, read.tables.region, read.queue.region


def test_the_names_that_others_have_for_aws_are_understood() -> None:
    assert read_aws(FALLBACK) == ("http://t:1", "http://q:2", "eu-west-1", "eu-west-1")
    assert read_aws(dict.fromkeys(FALLBACK, " ")) == read_aws({}) == ("", "", "us-west-2", "us-west-2")


@pytest.mark.parametrize("empty", [{}, dict.fromkeys(("NEXUS_TABLES__ENDPOINT_URL", "NEXUS_QUEUE__REGION"), "")])
def test_the_names_of_nexus_win_over_them_unless_they_are_empty(empty: dict[str, str]) -> None:
    own = {"NEXUS_QUEUE__ENDPOINT_URL": "http://own:3", "NEXUS_TABLES__REGION": "eu-north-1"}
    assert read_aws(FALLBACK | own | empty) == ("http://t:1", "http://own:3", "eu-north-1", "eu-west-1")
    assert parse_environment(FALLBACK, queue__endpoint_url="http://b:4").queue.endpoint_url == "http://b:4"


def test_a_wrong_value_under_another_name_names_that_one() -> None:
    assert refusal({"SQS_ENDPOINT_URL": "queues:9324"}).detail.startswith("SQS_ENDPOINT_URL is wrong: ")


def test_a_secret_shows_itself_only_when_asked() -> None:
    settings = parse_environment({"NEXUS_MODEL__API_KEY": "sk-canary", "NEXUS_AUTH__TOKEN": "tok-canary"})
    assert (settings.model.api_key.reveal(), settings.auth.token.reveal()) == ("sk-canary", "tok-canary")
    assert "canary" not in f"{settings!r} {settings} {settings.model.api_key} {settings.auth.token!r:>5}"
    with pytest.raises(TypeError):
        msgspec.json.encode(settings)
    with pytest.raises(TypeError):
        pickle.dumps(settings.model.api_key)
    assert not Secret() and Secret("a") == Secret("a") != Secret("b")
