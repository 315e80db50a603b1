"""The built-in stand-in for a chat model: rules and templates, no AI, no key, no network."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from nexus.adapters.offline.answers.reply import Answered, make_chat_reply
from nexus.adapters.offline.build.answers import make_build_stage_output
from nexus.adapters.offline.reading.tokens import CJK
from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.instants import Clock, system_clock
from nexus.domain.ports.models import Delta, End, ModelRequest, Usage

_PIECE = re.compile(r"[㐀-䶿一-鿿豈-﫿，。！？；：、（）“”]{1,3}|[^\s㐀-䶿一-鿿豈-﫿，。！？；：、（）“”]{1,40}\s*|\s+")
_WORD = re.compile(r"[^\s㐀-䶿一-鿿豈-﫿]+")
_LONG = 200
"""Characters from which on reading a conversation leaves the event loop."""


class OfflineModel:
    """A ChatModel that makes the whole main job real without a key."""

    def __init__(self, *, clock: Clock = system_clock) -> None:
        self._clock = clock

    @property
    def name(self) -> str:
        return "offline"

    async def stream(self, request: ModelRequest) -> AsyncIterator[Delta | End]:
        is_long = sum(len(message.content) for message in request.messages) > _LONG
        answered = await asyncio.to_thread(self._answer_request, request) if is_long else self._answer_request(request)
        for piece in _PIECE.findall(answered.text):
            yield Delta(piece)
            await asyncio.sleep(0)
        read = sum(estimate_tokens(message.content) for message in request.messages)
        written = estimate_tokens(answered.text) + sum(estimate_tokens(call.arguments) for call in answered.calls)
        yield End("tool_calls" if answered.calls else "end", answered.calls, Usage(read, written))

    def _answer_request(self, request: ModelRequest) -> Answered:
        if request.purpose.startswith("build."):
            return Answered(make_build_stage_output(request))
        if request.schema is not None:
            raise InvalidInput(f"The offline model has no rules for {request.purpose}: it needs a language model.")
        return make_chat_reply(request, datetime.fromtimestamp(self._clock(), UTC).date())


def estimate_tokens(text: str) -> int:
    """An estimate: a word is a token, a Chinese character too."""
    return len(_WORD.findall(text)) + len(CJK.findall(text))
