"""Events of the feeds: what told a change, kept in the commit of the change."""

from nexus.domain.core.values import JSON
from nexus.domain.ports.rows import Row


class Event(Row, frozen=True, kw_only=True):
    """Position `position` of a topic (`build:<project>/<build_no>`). `data` is flat JSON; `tag` is the SSE event name."""

    topic: str
    position: int
    tag: str
    data: JSON = {}
    created_at: str
    expires_at: int
