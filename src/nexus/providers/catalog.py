"""Providers of models that are known by name, and what an address and a key of one look like."""

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from nexus.adapters.openai.discovery import USUAL
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import find_nearest_word
from nexus.domain.ports.addresses import is_loopback_address
from nexus.settings import OPENAI_URL

OFFLINE = "offline"
CUSTOM = "custom"
MOST_CHARACTERS = 300
_CALLS = re.compile(r"(?i)(?:/chat/completions|/completions|/responses)/*\Z")
_HOST = re.compile(r"[\w-]{1,63}(?:\.[\w-]{1,63})*\.?", re.ASCII)
_QUOTES = "\"'`“”‘’"


class Provider(NamedTuple):
    """`base_url` is empty where it has to be given, `key_env` where no key is needed; `example` is a model to begin with."""

    name: str
    base_url: str
    key_env: str = ""
    example: str = ""


_HOSTED = (
    Provider("openai", OPENAI_URL, "OPENAI_API_KEY", "gpt-4o-mini"),
    Provider("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY", "deepseek-chat"),
    Provider("dashscope", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", "qwen-plus"),
    Provider("moonshot", "https://api.moonshot.cn/v1", "MOONSHOT_API_KEY", "moonshot-v1-8k"),
    Provider("zhipu", "https://open.bigmodel.cn/api/paas/v4", "ZHIPUAI_API_KEY", "glm-4-flash"),
    Provider("siliconflow", "https://api.siliconflow.cn/v1", "SILICONFLOW_API_KEY", "Qwen/Qwen2.5-7B-Instruct"),
    Provider("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "llama-3.3-70b-versatile"),
    Provider("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", "mistral-small-latest"),
    Provider("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "openai/gpt-4o-mini"),
    Provider("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", "gemini-2.5-flash"),
)
_LOCAL = tuple(Provider(place.provider, f"http://127.0.0.1:{place.port}/v1") for place in USUAL)
PROVIDERS: Mapping[str, Provider] = {one.name: one for one in (*_HOSTED, *_LOCAL, Provider(CUSTOM, ""))}
TITLES: Mapping[str, str] = {"ollama": "Ollama", "lmstudio": "LM Studio", "vllm": "vLLM", "llamacpp": "llama.cpp"}
"""The servers that people run on their own machine, and what they call them."""


def get_model_provider(name: str) -> Provider:
    """The provider of `PROVIDER/NAME`. InvalidInput for another form, and for a provider that is not known."""
    if fault := find_model_name_fault(name):
        raise InvalidInput(fault)
    return PROVIDERS[name.partition("/")[0]]


def find_model_name_fault(name: str) -> str:
    """What is wrong with the name of a model, as a sentence; empty when nothing is."""
    provider, slash, model = name.partition("/")
    example = "for example openai/gpt-4o-mini, ollama/qwen3, or offline"
    if len(name) > MOST_CHARACTERS or not name.isprintable() or name != name.strip():
        return f"A model is named PROVIDER/NAME in at most {MOST_CHARACTERS} characters, {example}."
    if slash and provider not in PROVIDERS:
        near = find_nearest_word(provider.lower(), PROVIDERS)
        guess = f" Do you mean {near}?" if near else ""
        others = f"Known are {', '.join(PROVIDERS)}; an endpoint of another is {CUSTOM}/NAME with a base URL."
        return f"{provider!r} is no provider.{guess} {others}"
    if not slash or not model.strip():
        return f"{name!r} is no model: it is named PROVIDER/NAME, {example}."
    return ""


def find_base_url_fault(url: str) -> str:
    """What is wrong with a base URL, and its right form where that is clear; empty when nothing is."""
    try:
        parts = urlsplit(url)
        right = f"{parts.scheme}://{parts.netloc}{_CALLS.sub('', parts.path)}"
        named = parts.scheme in ("http", "https") and _is_valid_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return "it is no URL: a base URL looks like http://127.0.0.1:11434/v1."
    if not url.isprintable() or any(map(str.isspace, url)):
        return "it holds white space."
    if not named:
        return "it is no URL that begins with http:// or https:// and a host, such as http://127.0.0.1:11434/v1."
    if "@" in parts.netloc:
        return "it holds a user name or a password: give the key by itself."
    if "?" in url or "#" in url:
        return f"a base URL has no part behind ? or #: write {right}."
    return f"it is the address of one call: write {right}." if _CALLS.search(parts.path) else ""


def is_unencrypted_url(url: str) -> bool:
    """Whether what goes to a base URL leaves this machine for all to read."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_loopback_address(parts.hostname or "")


def _is_valid_host(host: str) -> bool:
    """Whether it is an address, or a name whose parts a resolver takes. ValueError for one that cannot be spelt."""
    if ":" in host or re.fullmatch(r"[\d.]+", host):
        return bool(ip_address(host))
    return bool(_HOST.fullmatch(host.encode("idna").decode("ascii")))


def find_api_key_fault(key: str) -> str:
    """What is wrong with a key, in words that do not hold it; empty when nothing is."""
    if key and (key[0] in _QUOTES or key[-1] in _QUOTES):
        return "it is in quotes: give the key alone."
    if not all("!" <= character <= "~" for character in key):
        return "it holds white space or characters that no key has: give the key alone, without Bearer."
    return ""
