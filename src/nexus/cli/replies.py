"""A reply as it is written, on the terminal."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from nexus.cli.output import Output
from nexus.cli.terminal import truncate_to_one_line
from nexus.cli.watching import make_event_json
from nexus.client import ApiError, Client, Event, Unreachable

if TYPE_CHECKING:
    from nexus.cli.markdown import MarkdownWriter

CANCEL_SECONDS = 10.0


class Voice:
    """Says the events of one reply: its text to stdout, everything else beside it."""

    def __init__(self, output: Output) -> None:
        self._output, self._writer = output, _make_text_writer(output)
        self.reply_id: str | None = None
        self.position = 0
        self.ending = ""

    def write_reply_event(self, event: Event) -> None:
        self.position = event.position
        if event.tag in ("reply.waiting", "reply.started"):
            self.reply_id = event.data.get("reply_id")
        if event.tag in ("reply.completed", "reply.failed", "reply.cancelled", "reply.interrupted"):
            self.ending = event.tag
        if self._output.json:
            self._output.write_json_line(make_event_json(event))
        else:
            self._write_event_text(event.tag, event.data)

    def write_synthetic_event(self, tag: str, **data: Any) -> None:
        """Says the next event of a reply that no server writes."""
        self.write_reply_event(Event(position=self.position + 1, tag=tag, data=data))

    def _write_event_text(self, tag: str, data: dict[str, Any]) -> None:
        match tag:
            case "reply.delta":
                self._writer.write(str(data.get("text", "")))
            case "tool.called":
                self._print_status_line(f"→ {data.get('name')} {data.get('arguments', '')}")
            case "tool.finished":
                mark = "←" if data.get("ok", True) else "✘"
                self._print_status_line(f"{mark} {data.get('name')} {data.get('result', '')}")
            case "reply.waiting":
                before = data.get("position", 0)
                self._print_status_line(f"(waiting, {before} before you)" if before else "(waiting, you are next)")
            case "reply.reset":
                self._print_status_line(f"(the answer begins anew: {data.get('reason', '')})")
            case "reply.completed":
                self.end_text_block()
            case "reply.failed" | "reply.interrupted":
                self._print_status_line(f"✘ {tag.removeprefix('reply.')}: {data.get('reason', '')}")
            case "reply.cancelled":
                self._print_status_line("(stopped)")

    def _print_status_line(self, line: str) -> None:
        self.end_text_block()
        self._output.write_dimmed_line(truncate_to_one_line(line))

    def end_text_block(self) -> None:
        """Ends the line or block that is being written: something else is shown now."""
        self._writer.finish_text()


class PlainWriter:
    """Writes a text as it comes."""

    def __init__(self, output: Output) -> None:
        self._output, self._in_line = output, False

    def write(self, piece: str) -> None:
        self._output.write_text(piece)
        self._in_line = not piece.endswith("\n") if piece else self._in_line

    def finish_text(self) -> None:
        if self._in_line:
            self._output.write_text("\n")
            self._in_line = False


def _make_text_writer(output: Output) -> "PlainWriter | MarkdownWriter":
    if not output.is_markdown_rendered:
        return PlainWriter(output)
    from nexus.cli.markdown import MarkdownWriter

    return MarkdownWriter(output.stdout)


async def send_and_print_reply(output: Output, client: Client, session_id: str, content: str) -> str:
    """Says something and the reply to it; answers how that ended. Ctrl-C stops the reply on the server."""
    voice = Voice(output)
    try:
        await _print_reply_events(client.send_and_stream_reply(session_id, content), voice)
    except asyncio.CancelledError:
        if (task := asyncio.current_task()) is not None:
            task.uncancel()
        await _stop_reply(output, client, session_id, voice)
    finally:
        voice.end_text_block()
    return voice.ending


async def _print_reply_events(events: AsyncGenerator[Event, None], voice: Voice) -> None:
    async with aclosing(events):
        async for event in events:
            voice.write_reply_event(event)


async def _stop_reply(output: Output, client: Client, session_id: str, voice: Voice) -> None:
    """Cancels the reply and hears what is left of it; or says that this is not known to have worked."""
    try:
        async with asyncio.timeout(CANCEL_SECONDS):
            reply_id = voice.reply_id or (await client.fetch_session(session_id)).active_reply
            if reply_id is not None and not voice.ending:
                await client.cancel_reply(session_id, reply_id)
                await _print_reply_events(client.stream_reply_events(session_id, reply_id, after=voice.position), voice)
    except (TimeoutError, ApiError, Unreachable) as error:
        output.write_note(f"nexus: whether the reply stopped is not known: {error or 'no answer in time'}")
    if not voice.ending:
        voice.write_reply_event(Event(position=voice.position, tag="reply.cancelled", data={}))
