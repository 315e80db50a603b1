"""What a log tells, without what differs between two runs of the same: so that a disturbed one can be held against an undisturbed one.

The rules, beside ids, marks, times and positions:
- What a stage told before its executor was gone, it tells again (K7 to K11 of the crash points): after another `build.started`, what was told
  since the last end of a stage or of an attempt does not count. How often a build was queued and started does not count either.
- What users want, and when a pause is reached, is told beside the work: where among the stages it came is chance.
- A reply that is reset begins anew: what was told before does not count, and its text is one, however it came in pieces."""

import json
import re
from collections.abc import Collection, Sequence
from typing import Any

from msgspec import Struct

from tests.chaos.evidence import Evidence
from tests.chaos.harness import must

JSON = dict[str, Any]
_MARK, _SECONDS = re.compile(r"run_\d+_x"), re.compile(r"in \d+ s\b")
_DIFFERS = ("project_id", "session_id", "reply_id", "seconds", "position", "type")
_ENDS = ("stage.completed", "stage.skipped", "stage.retried", "build.completed", "build.failed", "build.cancelled")


class Story(Struct, frozen=True):
    """The work, and what was wanted."""

    work: tuple[str, ...]
    wanted: tuple[str, ...] = ()


def of_builds(evidence: Evidence, project_id: str, *, by_chance: Collection[str] = ()) -> Story:
    """All builds of a project, one after the other. `by_chance`: tags of events that come or do not."""
    builds = [(build["build_no"], events) for build, events in evidence.builds if build["project_id"] == project_id]
    work, wanted = list[str](), list[str]()
    for number, events in sorted(builds, key=lambda each: each[0]):
        work += [f"build {number}", *_work(events)]
        wanted += [f"build {number}", *_wanted([event for event in events if event["tag"] not in by_chance])]
    return Story(tuple(work), tuple(wanted))


def _work(events: Sequence[JSON]) -> list[str]:
    done, since = list[str](), list[str]()
    for event in events:
        if event["tag"] == "build.started":
            since = []
        elif event["tag"].startswith("stage.") or event["tag"] in _ENDS:
            since.append(_line(event["tag"], event["data"]))
        if event["tag"] in _ENDS:
            done, since = done + since, []
    return done + since


def _wanted(events: Sequence[JSON]) -> list[str]:
    found = list[str]()
    for event in events:
        if control := event["data"].get("control"):
            found.append(f"wants {control}")
        if event["tag"] == "build.paused":
            found.append("is paused")
    return found


def of_reply(log: Sequence[JSON]) -> Story:
    told, text = list[str](), ""
    for line in log:
        if line["type"] == "reply.reset":
            told, text = [], ""
        elif line["type"] == "reply.delta":
            text += line["text"]
        elif line["type"] != "reply.started":
            told.append(_line(line["type"], line))
    return Story((*told, text))


def _line(tag: str, data: JSON) -> str:
    kept = {name: value for name, value in data.items() if name not in _DIFFERS}
    text = json.dumps(kept, sort_keys=True, ensure_ascii=False)
    return f"{tag} {_SECONDS.sub('in N s', _MARK.sub('run_N_x', text))}"


def must_equal(told: Story, undisturbed: Story) -> int:
    """How many lines were compared."""
    must(told.wanted == undisturbed.wanted, f"Wanted was {told.wanted}, undisturbed it is {undisturbed.wanted}.")
    for number, (one, other) in enumerate(zip(told.work, undisturbed.work, strict=False)):
        must(one == other, f"Line {number} is {one!r}, undisturbed it is {other!r}. All: {told.work}")
    must(
        len(told.work) == len(undisturbed.work),
        f"There are {len(told.work)} lines, undisturbed {len(undisturbed.work)}: {told.work[-3:]}, {undisturbed.work[-3:]}",
    )
    return len(told.work)


def must_be_cut(told: Story, undisturbed: Story) -> int:
    """As the undisturbed one that was not stopped, up to where it was; and then its end."""
    *before, end = told.work
    must(end.startswith("build.cancelled"), f"It ends with {end!r}.")
    must(told.wanted == ("build 1", "wants stopped"), f"Wanted was {told.wanted}.")
    return must_equal(Story(tuple(before)), Story(undisturbed.work[: len(before)]))
