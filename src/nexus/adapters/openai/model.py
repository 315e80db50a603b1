"""Chat models over the OpenAI wire: any endpoint that speaks chat completions."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Self

import aiohttp

from nexus.adapters.openai.refusals import classify_http_error, classify_stream_error, parse_retry_after
from nexus.adapters.openai.sse import Splitter
from nexus.adapters.openai.wire import Assembly, Dialect, FaultStream, encode_chat_request, simplify_api_dialect
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.core.instants import Clock, system_clock
from nexus.domain.ports.models import Delta, End, ModelRequest

_LONGEST_REFUSAL = 8 * 1024
_LONGEST_ANSWER = 64 * 1024 * 1024
_USAGE_WAIT = 5.0
_DRAIN_WAIT = 0.2


class OpenAIModel:
    """A ChatModel on any OpenAI-compatible endpoint; `base_url` ends before `/chat/completions`, time limits are seconds.

    The session is the caller's: its connector should not bound connections below the streams expected."""

    def __init__(
        self,
        *,
        session: aiohttp.ClientSession,
        base_url: str,
        api_key: str,
        name: str,
        connect: float = 10.0,
        first_byte: float = 120.0,
        idle: float = 60.0,
        clock: Clock = system_clock,
    ) -> None:
        self._session = session
        self._url = base_url.rstrip("/") + "/chat/completions"
        self._key = api_key.strip()
        self._name = name
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect)
        self._first_byte = first_byte
        self._idle = idle
        self._clock = clock
        self._dialect = Dialect()
        self._headers = {
            "Content-Type": "application/json",
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",
        }
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        started = time.monotonic()
        async with self._open_completion_response(request) as answer:
            left = max(self._first_byte - (time.monotonic() - started), 0.0)
            async with aclosing(self._decode_response_stream(answer, first_byte=left)) as items:
                async for item in items:
                    yield item

    @asynccontextmanager
    async def _open_completion_response(self, request: ModelRequest) -> AsyncIterator[aiohttp.ClientResponse]:
        """The open answer with status 200, asked for in simpler words as often as the endpoint does not understand."""
        known = dialect = self._dialect
        lasting = True
        while True:
            answer = await self._post_request(encode_chat_request(request, model=self._name, dialect=dialect))
            try:
                if answer.status == 200:
                    self._dialect = dialect if lasting and self._dialect == known else self._dialect
                    yield answer
                    return
                body = await self._read_error_body(answer)
                dialect = self._simplify_dialect_or_raise(dialect, answer, body, request)
                lasting = lasting and b"nvalid schema" not in body
            finally:
                answer.release()

    def _simplify_dialect_or_raise(
        self, dialect: Dialect, answer: aiohttp.ClientResponse, body: bytes, request: ModelRequest
    ) -> Dialect:
        """How to ask again after a refusal; what the refusal means, raised, where asking otherwise is no use."""
        if answer.status in (400, 422):
            simpler = simplify_api_dialect(dialect, body.decode(errors="replace"), request)
            if simpler is not None:
                return simpler
        pause = parse_retry_after(answer.headers, now=self._clock())
        raise classify_http_error(answer.status, body, key=self._key, retry_after=pause)

    async def _post_request(self, body: bytes) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(self._first_byte):
                return await self._session.post(
                    self._url, data=body, headers=self._headers, timeout=self._timeout, allow_redirects=False
                )
        except aiohttp.InvalidURL:
            raise InvalidInput("The address of the model provider is not a URL.") from None
        except TimeoutError:
            raise Unavailable("The model provider did not answer in time.", reason="provider") from None
        except (aiohttp.ClientError, OSError) as problem:
            told = f"The model provider could not be reached ({type(problem).__name__})."
            raise Unavailable(told, reason="provider") from None

    async def _read_error_body(self, answer: aiohttp.ClientResponse) -> bytes:
        """The beginning of an error page; what of it came, when it breaks off."""
        try:
            async with asyncio.timeout(min(self._idle, self._first_byte)):
                return await answer.content.readexactly(_LONGEST_REFUSAL)
        except asyncio.IncompleteReadError as short:
            return short.partial
        except (TimeoutError, aiohttp.ClientError):
            return b""

    async def _decode_response_stream(
        self, answer: aiohttp.ClientResponse, *, first_byte: float
    ) -> AsyncGenerator[Delta | End, None]:
        """What each read brought, until `[DONE]`, the end, or a finished answer whose usage does not come; the one document of an
        endpoint that does not stream is a single payload."""
        assembly, splitter, document = Assembly(), Splitter(), bytearray()
        is_stream = answer.content_type != "application/json"
        wait, received = first_byte, 0
        with Patience(answer.content) as patience:
            while not splitter.done and (piece := await self._read_response_bytes(patience, wait, assembly)):
                received += len(piece)
                if received > _LONGEST_ANSWER:
                    raise Unavailable("The answer of the model does not end.")
                if not is_stream:
                    document += piece
                elif (delta := self._assemble_delta(assembly, splitter.split_sse_payloads(piece))) is not None:
                    yield delta
                wait = self._choose_read_timeout(assembly)
        if document and (delta := self._assemble_delta(assembly, [bytes(document)])) is not None:
            yield delta
        if not assembly.has_stop_reason:
            raise Unavailable("The answer of the model broke off.")
        yield assembly.make_end_event()
        if is_stream:
            await _drain_response(answer)

    def _choose_read_timeout(self, assembly: Assembly) -> float:
        if assembly.is_complete:
            return min(self._idle, _DRAIN_WAIT)
        return min(self._idle, _USAGE_WAIT) if assembly.has_stop_reason else self._idle

    def _assemble_delta(self, assembly: Assembly, payloads: list[bytes]) -> Delta | None:
        try:
            return assembly.add_sse_payloads(payloads)
        except FaultStream as told:
            raise classify_stream_error(told.fault, key=self._key) from None

    async def _read_response_bytes(self, patience: "Patience", wait: float, assembly: Assembly) -> bytes:
        """One raw read; empty at the end. Once the answer is finished, what breaks is no loss."""
        try:
            return await patience.read_with_timeout(wait)
        except (TimeoutError, aiohttp.ClientError, OSError) as problem:
            if assembly.has_stop_reason:
                return b""
            if isinstance(problem, TimeoutError):
                raise Unavailable("The model provider stopped sending.") from None
            raise Unavailable("The answer of the model broke off.") from None


class Patience:
    """Reads that may wait so long. One timer serves a whole answer: one for each read would cost more than the read."""

    def __init__(self, content: aiohttp.StreamReader) -> None:
        self._content, self._loop = content, asyncio.get_running_loop()
        self._until = math.inf
        self._timer: asyncio.TimerHandle | None = None

    async def read_with_timeout(self, wait: float) -> bytes:
        """What is there, or comes; empty at the end. TimeoutError after so many seconds, and from then on."""
        until = self._until = self._loop.time() + wait
        if self._timer is None or self._timer.when() > until:
            self._set_timer(until)
        try:
            return await self._content.readany()
        finally:
            self._until = math.inf

    def _set_timer(self, at: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(at, self._expire_or_rearm_timer)

    def _expire_or_rearm_timer(self) -> None:
        self._timer = None
        if self._until <= self._loop.time():
            self._content.set_exception(TimeoutError("nothing came"))
        elif self._until < math.inf:
            self._set_timer(self._until)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()


async def _drain_response(answer: aiohttp.ClientResponse) -> None:
    """Reads the end of the body that follows `[DONE]`, so that the connection can be used again."""
    try:
        async with asyncio.timeout(_DRAIN_WAIT):
            while not answer.content.at_eof():
                await answer.content.readany()
    except (TimeoutError, aiohttp.ClientError, OSError):
        answer.close()
