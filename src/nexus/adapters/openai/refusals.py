"""What an answer other than 200 means, in words that hold neither a key nor the provider's page."""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import msgspec
from msgspec import Struct

from nexus.adapters.openai.wire import Fault
from nexus.domain.core.errors import InvalidInput, NexusError, PermissionDenied, QuotaExceeded, Unavailable

_LONGEST_DETAIL = 200
_SECRET = re.compile(r"(?i)\b(?:sk|pk|rk|key|token|bearer|api[_-]?key)[-_ :=\"']+[\w.\-*]{6,}")


class _Told(Struct):
    error: Fault | str | None = None
    message: str | None = None
    detail: str | None = None


def classify_http_error(status: int, body: bytes, *, key: str, retry_after: float | None = None) -> NexusError:
    """The kind of error that an HTTP status means, whichever way the provider words it."""
    fault = _parse_error_body(body)
    pause = {} if retry_after is None else {"retry_after": retry_after}
    if status in (401, 403):
        return PermissionDenied(f"The model provider refused the key ({status}).", status=status)
    if status == 402 or (status == 429 and "insufficient_quota" in (fault.code, fault.type)):
        return QuotaExceeded(f"The credit at the model provider is used up ({status}).", status=status, **pause)
    if status == 429:
        return Unavailable("The model provider asks to slow down (429).", reason="provider", status=status, **pause)
    if status >= 500 or status in (408, 425):
        return Unavailable(f"The model provider failed ({status}).", reason="provider", status=status, **pause)
    if status < 400:
        return InvalidInput(f"The address of the model provider answers {status}: not a chat endpoint.", status=status)
    said = sanitize_error_message(fault.message or "", key=key)
    reason = f": {said}" if said else "."
    return InvalidInput(f"The model provider refused the request ({status}){reason}", status=status)


def classify_stream_error(fault: Fault, *, key: str) -> NexusError:
    """An error told after 200 was sent: by its code where that is a status, else the provider's own failure."""
    code = str(fault.code or "")
    status = int(code) if re.fullmatch(r"[45]\d\d", code) else 500
    return classify_http_error(status, msgspec.json.encode({"error": fault}), key=key)


def parse_retry_after(headers: Mapping[str, str], *, now: float) -> float | None:
    """Seconds to wait, from `Retry-After-Ms` or `Retry-After` as a number or an HTTP date; None when not told."""
    if (milliseconds := _parse_nonnegative_float(headers.get("Retry-After-Ms", ""))) is not None:
        return milliseconds / 1000
    told = headers.get("Retry-After", "")
    if (seconds := _parse_nonnegative_float(told)) is not None:
        return seconds
    try:
        return max(parsedate_to_datetime(told).timestamp() - now, 0.0)
    except (ValueError, TypeError, OverflowError):
        return None


def sanitize_error_message(text: str, *, key: str) -> str:
    """A provider's sentence, short, on one line, without anything that looks like a secret."""
    if key:
        text = text.replace(key, "…")
    text = _SECRET.sub("…", " ".join(text[:2000].split()))
    text = "".join(character for character in text if character.isprintable())
    return text if len(text) <= _LONGEST_DETAIL else text[: _LONGEST_DETAIL - 1] + "…"


def _parse_error_body(body: bytes) -> Fault:
    try:
        told = msgspec.json.decode(body, type=_Told)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return Fault()
    if isinstance(told.error, Fault):
        return told.error
    return Fault(message=told.error or told.message or told.detail)


def _parse_nonnegative_float(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None
