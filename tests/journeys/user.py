"""A user of the HTTP API, who knows nothing of what is behind it."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any, NamedTuple

import httpx
import msgspec

from nexus.client.sse import Parser

API = "/api/v2"
BUILD_ENDS = frozenset({"build.completed", "build.failed", "build.cancelled"})
REPLY_ENDS = frozenset({"reply.completed", "reply.failed", "reply.cancelled", "reply.interrupted"})
Json = dict[str, Any]


class Event(NamedTuple):
    position: int
    tag: str
    data: Json


class Heard(NamedTuple):
    """The events of one reply, to its end."""

    events: Sequence[Event]

    @property
    def text(self) -> str:
        """What a page would show: a reset voids what came before."""
        text = ""
        for event in self.events:
            if event.tag == "reply.reset":
                text = ""
            elif event.tag == "reply.delta":
                text += event.data["text"]
        return text

    @property
    def ending(self) -> str:
        return self.events[-1].tag

    @property
    def tools(self) -> list[str]:
        return [event.data["name"] for event in self.events if event.tag == "tool.finished" and event.data["ok"]]


class Stream:
    """An open stream of events."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.reconnect = False
        self._events = self._read()

    def _read(self) -> Generator[Event, None, None]:
        parser = Parser()
        for chunk in self.response.iter_raw():
            for frame in parser.parse_sse_chunk(chunk):
                if frame.event == "reconnect":
                    self.reconnect = True
                elif frame.id is not None:
                    yield Event(int(frame.id), frame.event, msgspec.json.decode(frame.data))

    def close(self) -> None:
        self._events.close()

    def until(self, *tags: str, of: str | None = None) -> list[Event]:
        """Everything up to the first event with one of these tags (`of`: of that stage)."""
        heard = list[Event]()
        for event in self._events:
            heard.append(event)
            if event.tag in tags and (of is None or event.data.get("stage") == of):
                return heard
        raise AssertionError(f"The stream ended before {tags}: {[event.tag for event in heard]}")

    def until_text(self, text: str) -> list[Event]:
        """Everything up to the piece with which a reply says this."""
        heard = list[Event]()
        while Heard(heard).text != text:
            heard += self.until("reply.delta")
        return heard

    def rest(self) -> list[Event]:
        """What comes until the connection ends, however it does."""
        heard = list[Event]()
        try:
            heard.extend(self._events)
        except httpx.TransportError:
            pass
        return heard


class User:
    """Closes with its client. A request that takes longer than the time-out fails the journey."""

    def __init__(self, url: str, *, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(30), trust_env=False)

    def get(self, path: str) -> Json:
        answer: Json = self._good(self.http.get(API + path)).json()
        return answer

    def post(self, path: str, **body: object) -> Json:
        answer: Json = self._good(self.http.post(API + path, json=body)).json()
        return answer

    def _good(self, response: httpx.Response) -> httpx.Response:
        assert response.is_success, f"{response.status_code} {response.text}"
        return response

    def refused(self, path: str, **body: object) -> httpx.Response:
        """The problem that such a request is answered with."""
        response = self.http.post(API + path, json=body)
        assert response.headers["content-type"] == "application/problem+json", response.text
        return response

    @contextmanager
    def stream(
        self, path: str, *, after: int | None = None, said: str | None = None, key: str | None = None
    ) -> Iterator[Stream]:
        """Follows what is there, or what is said now."""
        headers = {} if after is None else {"Last-Event-ID": str(after)}
        headers |= {} if key is None else {"Idempotency-Key": key}
        body = None if said is None else {"content": said}
        with self.http.stream("GET" if said is None else "POST", API + path, json=body, headers=headers) as response:
            assert response.status_code == 200, response.read().decode()
            # Closed in order: what the collector closes later, it closes in the middle of another request of this client.
            with closing(Stream(response)) as stream:
                yield stream

    def started(self, requirement: str) -> str:
        """A build of it goes on; the project's id."""
        project_id: str = self.post("/projects", requirement=requirement)["project_id"]
        return project_id

    def followed(self, project_id: str, *, after: int | None = None) -> list[Event]:
        """The events of a build to its end."""
        with self.stream(f"/projects/{project_id}/events", after=after) as stream:
            return stream.until(*BUILD_ENDS)

    def built(self, requirement: str) -> Json:
        """The project once its build is over, however that ended."""
        project_id = self.started(requirement)
        self.followed(project_id)
        return self.project(project_id)

    def project(self, project_id: str) -> Json:
        return self.get(f"/projects/{project_id}")

    def stages(self, project_id: str) -> list[Json]:
        stages: list[Json] = self.get(f"/projects/{project_id}/stages")["items"]
        return stages

    def files(self, project_id: str) -> list[str]:
        return [entry["path"] for entry in self.get(f"/projects/{project_id}/files")["items"]]

    def text(self, path: str) -> str:
        return self._good(self.http.get(API + path)).text

    def agents(self, project: Json) -> list[Json]:
        return [self.get(f"/agents/{agent_id}") for agent_id in project["agent_ids"]]

    def session(self, agent_id: str) -> str:
        session_id: str = self.post(f"/agents/{agent_id}/sessions")["session_id"]
        return session_id

    def messages(self, session_id: str) -> list[Json]:
        messages: list[Json] = self.get(f"/sessions/{session_id}/messages")["items"]
        return messages

    def says(self, session_id: str, content: str) -> Heard:
        """Says it, and hears the reply to its end."""
        with self.stream(f"/sessions/{session_id}/stream", said=content) as stream:
            return Heard(stream.until(*REPLY_ENDS))

    def asks(self, agent_id: str, content: str) -> Heard:
        """The same in a conversation of its own."""
        return self.says(self.session(agent_id), content)

    def hears(self, events_url: str, *, after: int | None = None) -> Heard:
        """The rest of a reply, from a position on."""
        with self.stream(events_url.removeprefix(API), after=after) as stream:
            return Heard(stream.until(*REPLY_ENDS))

    def close(self) -> None:
        self.http.close()
