"""A conversation with an agent that runs in this process."""

import asyncio
from typing import Any

import msgspec

from nexus.cli.output import Output
from nexus.cli.replies import Voice
from nexus.client import Event
from nexus.domain.core.errors import NexusError
from nexus.domain.ports.models import ChatMessage
from nexus.domain.runtime.model import AgentSpec, AnswerFinished, TextDelta
from nexus.domain.runtime.service import Runtime

HISTORY = 60


class Alone:
    def __init__(self, *, runtime: Runtime, spec: AgentSpec, output: Output) -> None:
        self._runtime, self._spec, self._output = runtime, spec, output
        self._history = list[ChatMessage]()

    async def answer(self, content: str) -> str:
        """Says the answer as it comes; the tag of the event that ended it. What failed is not remembered."""
        voice, asked = Voice(self._output), ChatMessage("user", content)
        try:
            async with asyncio.timeout(self._spec.limits.seconds):
                text = await self._stream_answer(voice, asked)
        except TimeoutError:
            return self._report_failure(voice, f"The answer took longer than {self._spec.limits.seconds:g} s.")
        except NexusError as error:
            return self._report_failure(voice, error.detail)
        finally:
            voice.pause()
        _say(voice, "reply.completed", {})
        self._history += [asked, ChatMessage("assistant", text)]
        return voice.ending

    def forget(self) -> str:
        self._history.clear()
        return "What was said so far is forgotten."

    async def _stream_answer(self, voice: Voice, asked: ChatMessage) -> str:
        """The text of the answer, which was said as it came."""
        text = list[str]()
        async for item in self._runtime.answer(self._spec, [*self._history[-HISTORY:], asked]):
            if isinstance(item, AnswerFinished):
                continue
            if isinstance(item, TextDelta):
                text.append(item.text)
            data = msgspec.to_builtins(item)
            _say(voice, data["type"], data)
        return "".join(text)

    def _report_failure(self, voice: Voice, reason: str) -> str:
        _say(voice, "reply.failed", {"reason": reason})
        return voice.ending


def _say(voice: Voice, tag: str, data: dict[str, Any]) -> None:
    voice.say(Event(position=voice.position + 1, tag=tag, data=data))
