"""What must hold whatever happened. Each looks at the evidence, says how much it looked at, and raises Violation in a sentence."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from itertools import pairwise
from typing import Any

from tests.chaos.evidence import Evidence, orphans
from tests.chaos.harness import must
from tests.chaos.model import plan

JSON = dict[str, Any]
ENDS = ("build.completed", "build.failed", "build.cancelled")
STILL = ("completed", "failed", "cancelled", "paused")
STEP_TOKENS = 10

_INSIDE = (
    "stage.started",
    "stage.progress",
    "stage.log",
    "stage.retried",
    "stage.completed",
    "stage.skipped",
    "control.changed",
)
_OVER = ("build.completed", "build.failed", "build.cancelled", "build.paused", "build.queued")
_STEP = (*_INSIDE, *_OVER, "build.started")
NEXT: Mapping[str, Collection[str]] = {
    "": ("build.queued",),
    "build.queued": ("build.started", "build.paused", "build.cancelled"),
    "build.paused": ("build.queued", "build.cancelled"),
    "build.completed": (),
    "build.failed": (),
    "build.cancelled": (),
    **dict.fromkeys(("build.started", *_INSIDE), _STEP),
}
"""Which event may follow which: the table of joint transitions, seen from outside."""


def acknowledged_are_kept(evidence: Evidence, acknowledged: Collection[JSON]) -> int:
    """I1"""
    known = {project["project_id"] for project in evidence.rows["projects"]}
    tasks = {task["task_id"] for task in evidence.rows["tasks"]}
    for started in acknowledged:
        must(started["project_id"] in known, f"{started['project_id']} was acknowledged and is lost.")
        must(started["task_id"] in tasks, f"{started['task_id']} was acknowledged and is lost.")
    names = [project["requirement"] for project in evidence.rows["projects"]]
    must(len(set(names)) == len(names), "A request that was repeated with its key began two projects.")
    return len(acknowledged)


def one_commit_for_each_stage(evidence: Evidence) -> int:
    """I2"""
    seen = 0
    for project in evidence.rows["projects"]:
        keys = evidence.commits(project["project_id"])
        must(len(set(keys)) == len(keys), f"{project['project_id']} has two commits of one stage: {keys}")
        seen += len(keys)
    for build, events in evidence.builds:
        told = [event["data"]["stage"] for event in events if event["tag"] == "stage.completed"]
        must(len(set(told)) == len(told), f"A stage of {build['project_id']} was completed twice: {told}")
        keys = evidence.commits(build["project_id"])
        for stage in told:
            must(
                f"{build['build_no']}/{stage}" in keys,
                f"{stage} of {build['project_id']} is completed without a commit.",
            )
        seen += len(told)
    return seen


def stages_in_order(evidence: Evidence) -> int:
    """I3"""
    seen = 0
    for build, events in evidence.builds:
        done = [event["data"]["number"] for event in events if event["tag"] in ("stage.completed", "stage.skipped")]
        must(
            all(two == one + 1 for one, two in pairwise(done)), f"Stages of {build['project_id']} out of order: {done}"
        )
        if build["status"] == "completed":
            stages = [row for row in evidence.rows["stages"] if row["project_id"] == build["project_id"]]
            current = [row for row in stages if row["build_no"] == build["build_no"]]
            open_ = [row["stage_name"] for row in current if row["status"] not in ("completed", "skipped")]
            must(not open_, f"{build['project_id']} is completed, but not {open_}.")
        seen += len(done)
    return seen


def legal_transitions(evidence: Evidence) -> int:
    """I4"""
    seen = 0
    for build, events in evidence.builds:
        for before, after in pairwise(["", *(event["tag"] for event in events)]):
            must(after in NEXT[before], f"{build['project_id']}/{build['build_no']}: {after} came after {before!r}.")
            seen += 1
    return seen


def no_write_under_an_old_fence(evidence: Evidence) -> int:
    """I5: each claim raises the fence by one and tells `build.started`; a stage ends under the fence of the last of them."""
    seen = 0
    tasks = {task["task_id"]: task for task in evidence.rows["tasks"]}
    stages = {(row["project_id"], row["build_no"], row["stage_name"]): row for row in evidence.rows["stages"]}
    for build, events in evidence.builds:
        fence = 0
        task = tasks[build["task_id"]]
        for event in events:
            fence += event["tag"] == "build.started"
            row = stages.get((build["project_id"], build["build_no"], event["data"].get("stage", "")))
            if event["tag"] == "stage.completed" and row is not None:
                told = f"{row['stage_name']} of {build['project_id']} has fence {row['fence']}"
                must(row["fence"] >= fence, f"{told}, but was completed when {fence} was in force.")
                must(row["fence"] <= task["fence"], f"{told}, beyond its task's {task['fence']}.")
                seen += 1
        must(task["fence"] >= fence, f"{task['task_id']} has fence {task['fence']} after {fence} claims.")
    return seen


def paid_once_beyond_crashes(evidence: Evidence) -> int:
    """I6: a question is put again only by who took over, once for each time."""
    asked, repeated, seen = evidence.asked(), evidence.repeated(), 0
    for mark, project in evidence.marks().items():
        if project["build_no"] > 1:
            continue
        topic = evidence.topics[f"build:{project['project_id']}/1"]
        again = max(sum(event["tag"] == "build.started" for event in topic) - 1, 0)
        repeats = repeated.get(mark, Counter())
        must(repeats.total() <= again, f"Run {mark} was taken over {again} times, and asked again: {dict(repeats)}")
        seen += asked[mark].total()
    return seen


def counted_exactly_or_unknown(evidence: Evidence) -> int:
    """I7: each step is counted once; a call cut by a crash is marked unknown."""
    repeated, seen = evidence.repeated(), 0
    builds = {(build["project_id"], build["build_no"]): build for build in evidence.rows["builds"]}
    for mark, project in evidence.marks().items():
        build = builds[project["project_id"], project["build_no"]]
        if project["status"] != "completed" or build["build_no"] > 1:
            continue
        stages = [row for row in evidence.rows["stages"] if row["project_id"] == project["project_id"]]
        counted, steps = sum(row["input_tokens"] for row in stages), sum(plan(mark).values())
        must(counted == STEP_TOKENS * steps, f"Run {mark}: {steps} steps, {counted} tokens counted.")
        must(
            build["input_tokens"] == counted,
            f"Run {mark}: the build says {build['input_tokens']}, its stages {counted}.",
        )
        unknown = any(row["usage_unknown"] for row in stages)
        repeats = repeated.get(mark, Counter())
        must(unknown or not repeats, f"Run {mark}: {dict(repeats)} were asked again, and nothing is marked unknown.")
        seen += steps
    return seen


def everything_came_to_an_end(evidence: Evidence) -> int:
    """I8"""
    for project in evidence.rows["projects"]:
        must(project["status"] in STILL, f"{project['project_id']} is still {project['status']}.")
    for reply in evidence.rows["replies"]:
        must(reply["status"] != "running", f"{reply['reply_id']} is still being written.")
    return len(evidence.rows["projects"]) + len(evidence.rows["replies"])


def logs_without_gap(evidence: Evidence) -> int:
    """I9: a project's positions run through its builds without a hole; a stream leaps only where another process goes on."""
    seen = 0
    for project in evidence.rows["projects"]:
        numbers = sorted(
            event["position"] for topic, events in evidence.topics.items()
            for event in events if topic.startswith(f"build:{project['project_id']}/")
        )  # fmt: skip
        must(
            numbers == list(range(1, project["events"] + 1)),
            f"The events of {project['project_id']} have holes: {numbers}",
        )
        seen += len(numbers)
    for topic, lines in evidence.log_topics.items():
        for before, line in pairwise(lines):
            whole = line["position"] == before["position"] + 1 or line["type"] in (
                "reply.reset",
                "reply.started",
                "reply.interrupted",
                "reply.cancelled",
            )
            must(whole and line["position"] > before["position"], f"{topic} leaps from {before['position']} to {line}.")
            seen += 1
    return seen


def nothing_is_left(evidence: Evidence, known: set[int], *, apart: bool = False) -> int:
    """I10. `apart`: several experiments go on at once, and only processes that name this one's directory are its own."""
    for task in evidence.rows["tasks"]:
        ended = task["status"] in ("completed", "failed", "cancelled")
        must(task["status"] != "running", f"{task['task_id']} is leased by nobody alive.")
        must(not ended or task.get("dispatch") is None, f"{task['task_id']} has ended and lies before the sweeper.")
    for reply in evidence.rows["replies"]:
        must(reply.get("dispatch") is None, f"{reply['reply_id']} has ended and lies before the sweeper.")
    for session in evidence.rows["sessions"]:
        must(session.get("active_reply") is None, f"{session['session_id']} waits for a reply that is over.")
    for project in evidence.rows["projects"]:
        if project["status"] == "completed":
            differs = evidence.state_of_files(project["project_id"])
            must(not differs, f"The files of {project['project_id']} are not those of its last commit: {differs}")
    must(not (left := evidence.leftovers()), f"Left behind: {left[:5]}")
    alive = orphans(known, of=str(evidence.data.parent) if apart else "")
    must(not alive, f"Still alive: {alive[:5]}")
    return len(evidence.rows["tasks"]) + 1


ALWAYS: tuple[Callable[[Evidence], int], ...] = (
    one_commit_for_each_stage,
    stages_in_order,
    legal_transitions,
    no_write_under_an_old_fence,
    everything_came_to_an_end,
    logs_without_gap,
)
ACCOUNTS = (paid_once_beyond_crashes, counted_exactly_or_unknown)
"""Where the model server refuses nothing."""


def hold(
    evidence: Evidence,
    *,
    acknowledged: Collection[JSON],
    known: set[int],
    accounts: bool = True,
    apart: bool = False,
) -> dict[str, int]:
    """All of them: by name, how much each looked at. Where there were builds, none may have looked at nothing."""
    seen = {check.__name__: check(evidence) for check in (*ALWAYS, *(ACCOUNTS if accounts else ()))}
    seen[acknowledged_are_kept.__name__] = acknowledged_are_kept(evidence, acknowledged)
    seen[nothing_is_left.__name__] = nothing_is_left(evidence, known, apart=apart)
    blind = [name for name, count in seen.items() if not count]
    must(not blind, f"Nothing was looked at by {blind}.")
    return seen
