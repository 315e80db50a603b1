"""`nexus agent run` and `test`: a package alone, in this process, without a server and without a store."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from nexus.cli.asked import Asked
from nexus.cli.conversation import Command, hold_conversation
from nexus.cli.exits import USAGE, Ended
from nexus.cli.output import Output
from nexus.cli.replies import Voice
from nexus.cli.trying import run_package_tests
from nexus.domain.core.errors import NexusError
from nexus.domain.ports.models import ChatMessage
from nexus.domain.runtime.model import AnswerFinished, TextDelta
from nexus.providers.choice import read_settings
from nexus.standalone import OpenAgent, open_standalone_agent

HISTORY = 60


def run(asked: Asked) -> int:
    return hold_conversation(asked, _open_agent_package)


def test(asked: Asked) -> int:
    return asyncio.run(
        run_package_tests(asked.output, _get_package_folder(asked), read_settings(asked.settings_environ))
    )


def _get_package_folder(asked: Asked) -> Path:
    directory = Path(asked.arguments.directory)
    if not (directory / "agent.toml").is_file():
        raise Ended(USAGE, f"{directory} holds no agent.toml: it is no agent package.")
    return directory


async def _open_agent_package(asked: Asked, stack: AsyncExitStack) -> "Alone":
    opening = open_standalone_agent(_get_package_folder(asked), read_settings(asked.settings_environ))
    return Alone(await stack.enter_async_context(opening), asked.output)


class Alone:
    """A conversation with an agent that runs in this process."""

    def __init__(self, agent: OpenAgent, output: Output) -> None:
        self._runtime, self._spec, self._output = agent.runtime, agent.spec, output
        self._history = list[ChatMessage]()
        self.commands = {"new": Command("forget what was said so far", self._clear_chat_history)}

    async def answer_message(self, content: str) -> str:
        """What failed is not remembered."""
        voice, question = Voice(self._output), ChatMessage("user", content)
        try:
            async with asyncio.timeout(self._spec.limits.seconds):
                text = await self._print_streamed_answer(voice, question)
            voice.write_synthetic_event("reply.completed")
            self._history += [question, ChatMessage("assistant", text)]
        except TimeoutError:
            voice.write_synthetic_event(
                "reply.failed", reason=f"The answer took longer than {self._spec.limits.seconds:g} s."
            )
        except NexusError as error:
            voice.write_synthetic_event("reply.failed", reason=error.detail)
        except asyncio.CancelledError:  # Ctrl-C stops the answer, not the conversation
            voice.write_synthetic_event("reply.cancelled")
        finally:
            voice.end_text_block()
        return voice.ending

    async def _clear_chat_history(self) -> str:
        self._history.clear()
        return "What was said so far is forgotten."

    async def _print_streamed_answer(self, voice: Voice, question: ChatMessage) -> str:
        """The text of the answer, which was said as it came."""
        text = list[str]()
        async for item in self._runtime.stream_answer(self._spec, [*self._history[-HISTORY:], question]):
            if isinstance(item, AnswerFinished):
                continue
            if isinstance(item, TextDelta):
                text.append(item.text)
            data = msgspec.to_builtins(item)
            voice.write_synthetic_event(data["type"], **data)
        return "".join(text)
