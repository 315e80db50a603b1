"""A catalog of the models that it was given."""

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import DEFAULT, ChatModel


class MemoryCatalog:
    """Each model under the name that its provider knows it by; the first one is the default."""

    def __init__(self, default: ChatModel, *others: ChatModel) -> None:
        self._models = {model.name: model for model in (*others, default)} | {DEFAULT: default}

    def get_model(self, name: str) -> ChatModel:
        if name not in self._models:
            raise InvalidInput(f"There is no model {name[:80]!r} here; there are {', '.join(sorted(self._models))}.")
        return self._models[name]
