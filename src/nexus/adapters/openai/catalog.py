"""The models of one endpoint."""

import aiohttp

from nexus.adapters.openai.model import OpenAIModel
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import DEFAULT, ChatModel

_LONGEST = 300


class OpenAICatalog:
    """Every name but DEFAULT is that of a model at the endpoint: which ones it has, it says itself when it is asked."""

    def __init__(self, *, session: aiohttp.ClientSession, base_url: str, api_key: str, name: str, idle: float) -> None:
        self._session, self._base_url, self._key, self._name, self._idle = session, base_url, api_key, name, idle
        self._models = dict[str, ChatModel]()

    def get_model(self, name: str) -> ChatModel:
        if not name.strip() or len(name) > _LONGEST or not name.isprintable():
            raise InvalidInput(f"{name[:80]!r} is no name of a model.")
        name = self._name if name == DEFAULT else name
        if name not in self._models:
            self._models[name] = OpenAIModel(
                session=self._session, base_url=self._base_url, api_key=self._key, name=name, idle=self._idle
            )
        return self._models[name]
