"""What asking a model yields, and what can be wrong with its answer."""

from typing import Generic, TypeVar

from msgspec import Struct

from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.models import Usage

T = TypeVar("T")


class Unparseable(InvalidInput):
    """No usable answer came. `facts`: `reason` (`invalid`, `length`, `content_filter`) and `spent`, a Spent."""

    title = "The model's answer is not usable"


class Spent(Struct, frozen=True, kw_only=True):
    """Tokens summed over calls. With `unknown`, some call was not counted: the sums are a lower bound."""

    input_tokens: int = 0
    output_tokens: int = 0
    unknown: bool = False

    @classmethod
    def add_call_usage(cls, usage: Usage | None) -> "Spent":
        """One call; None where its provider gave no usage."""
        counted = {} if usage is None else {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
        return cls(**counted, unknown=usage is None)

    def add_usage(self, other: "Spent") -> "Spent":
        return Spent(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            unknown=self.unknown or other.unknown,
        )


class Answer(Struct, Generic[T], frozen=True, kw_only=True):
    """A typed answer; `repairs` is how often the model had to be told what was wrong with it."""

    value: T
    spent: Spent
    repairs: int = 0
