"""Names, addresses and keys: what is taken, and what is refused in words that help."""

from pathlib import Path

import pytest

from nexus.adapters.openai.discovery import USUAL
from nexus.domain.core.errors import InvalidInput
from nexus.providers.catalog import (
    PROVIDERS,
    TITLES,
    find_api_key_fault,
    find_base_url_fault,
    find_model_name_fault,
    get_model_provider,
)

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def test_every_known_provider_can_be_used_as_it_is_listed():
    for provider in PROVIDERS.values():
        assert provider.name == "custom" or not find_base_url_fault(provider.base_url), provider
        assert bool(provider.key_env) == bool(provider.example), provider
        assert find_model_name_fault(f"{provider.name}/{provider.example or 'x'}") == ""


def test_the_page_lists_the_providers_as_they_are():
    rows = [
        tuple(cell.strip(" `") for cell in row.split("|")[1:4])
        for row in PAGE.read_text().splitlines()
        if row.startswith("| `")
    ]
    assert rows[:-1] == [
        (one.name, one.base_url, one.key_env or "–") for one in PROVIDERS.values() if one.name != "custom"
    ]
    assert rows[-1][0] == "custom"


def test_every_server_that_is_looked_for_has_a_title():
    assert {place.provider for place in USUAL} == set(TITLES)


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("openai/gpt-4o-mini", "openai"), ("ollama/qwen3:4b", "ollama"), ("vllm/Qwen/Qwen3-8B", "vllm"),
        ("llamacpp//models/a b.gguf", "llamacpp"), ("custom/通义千问", "custom"), ("openrouter/openai/gpt-4o-mini", "openrouter"),
    ],
)  # fmt: skip
def test_a_model_is_named_by_its_provider_and_its_own_name(name: str, provider: str):
    assert get_model_provider(name).name == provider


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("", "is no model"), ("openai", "is no model"), ("openai/", "is no model"), ("openai/ ", "PROVIDER/NAME"), ("/x", "no provider"),
        ("opnai/x", "Do you mean openai?"), ("OpenAI/x", "Do you mean openai?"), ("azure/x", "custom/NAME"),
        ("ollama/a\nb", "PROVIDER/NAME"), ("ollama/a\x1b[2J", "PROVIDER/NAME"), (" ollama/x", "PROVIDER/NAME"),
        ("ollama/" + "x" * 300, "300 characters"), ("gpt-4o-mini", "is no model"),
    ],
)  # fmt: skip
def test_another_form_is_refused_with_the_right_one(name: str, told: str):
    with pytest.raises(InvalidInput) as refusal:
        get_model_provider(name)
    assert told in refusal.value.detail


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1", "http://127.0.0.1:11434/v1", "http://[::1]:8000/v1/", "https://x.example/models",
        "https://例え.example/v1", "https://x.example", "http://model_runner:12434/v1", "http://localhost./v1", "http://x.example:80/a/b/c",
    ],
)  # fmt: skip
def test_a_base_url_is_taken(url: str):
    assert find_base_url_fault(url) == ""


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://a.example/v1/chat/completions", "write https://a.example/v1."),
        ("https://a.example/v1/chat/completions/", "write https://a.example/v1."),
        ("https://a.example/v1/Chat/Completions", "write https://a.example/v1."),
        ("https://a.example/v1/completions", "write https://a.example/v1."),
        ("https://a.example/v1/responses", "write https://a.example/v1."),
        ("https://a.example/v1?api-version=2", "write https://a.example/v1."),
        ("https://a.example/v1/chat/completions?key=sk-canary", "write https://a.example/v1."),
        ("https://a.example/v1?", "write https://a.example/v1."),
        ("https://a.example/v1#x", "write https://a.example/v1."),
        ("https://user:canary@a.example/v1", "give the key by itself"),
        ("ftp://a.example/v1", "begins with http"), ("a.example/v1", "begins with http"), ("localhost:11434", "begins with http"),
        ("", "begins with http"), ("http://", "begins with http"), ("http:///v1", "begins with http"), ("http://a:0/v1", "begins with http"),
        ("http://a..b/v1", "no URL"), ("http://" + "a" * 70 + ".com/v1", "no URL"), ("http://例え。。/v1", "no URL"), ("http://..../v1", "no URL"),
        ("http://999.1.1.1/v1", "no URL"), ("http://127.1/v1", "no URL"), ("https://<host>/v1", "begins with http"),
        ("https://{host}/v1", "begins with http"), ("http://a%20b/v1", "begins with http"), ("http://a\\b/v1", "begins with http"),
        ("http://a:99999/v1", "no URL"), ("http://a:x/v1", "no URL"), ("http://[::1/v1", "no URL"),
        ("http://a.example/v 1", "white space"), ("http://a.example/v1\n", "white space"), ("http://a.example/\u202ev1", "white space"),
    ],
)  # fmt: skip
def test_another_base_url_is_refused_with_its_right_form_and_without_its_secrets(url: str, told: str):
    assert told in find_base_url_fault(url)
    assert "canary" not in find_base_url_fault(url)


@pytest.mark.parametrize("key", ["", "sk-abc", "a", "x" * 4000, "abc.def_ghi-jkl/+="])
def test_a_key_is_taken(key: str):
    assert find_api_key_fault(key) == ""


@pytest.mark.parametrize(
    "key",
    [
        '"canary"',
        "'canary'",
        "“canary”",
        "canary\n",
        "Bearer canary",
        "canary\r\nX: y",
        "canary\x00",
        "canary…",
        "密钥canary",
    ],
)
def test_another_key_is_refused_in_words_that_do_not_hold_it(key: str):
    assert find_api_key_fault(key)
    assert "canary" not in find_api_key_fault(key)
