"""Views say what entities may be: a word that the domain learns, the wire learns too."""

from typing import get_type_hints

import msgspec
import pytest
from msgspec import Struct

from nexus.domain.agents.model import Agent, Deployment, Invocation, Version
from nexus.domain.builds.model import Started
from nexus.domain.ports.repository import Commit
from nexus.domain.projects.model import Build, Part, Project, Stage
from nexus.domain.sessions.model import Message, Reply, Session
from nexus.domain.statistics.service import Overview
from nexus.domain.tallies.model import Tally
from nexus.domain.tasks.model import Task
from nexus.domain.tools.model import Tool
from nexus.wire import agents, projects, sessions, statistics, tasks, tools

VIEWS: list[tuple[type[Struct], type[Struct]]] = [
    (Project, projects.ProjectView),
    (Part, projects.PartView),
    (Stage, projects.StageView),
    (Build, projects.BuildView),
    (Commit, projects.CommitView),
    (Started, projects.ProjectStarted),
    (Task, tasks.TaskView),
    (Agent, agents.AgentView),
    (Version, agents.VersionView),
    (Deployment, agents.DeploymentView),
    (Invocation, agents.InvocationView),
    (Session, sessions.SessionView),
    (Message, sessions.MessageView),
    (Reply, sessions.ReplyView),
    (Tool, tools.ToolView),
    (Tally, statistics.DayView),
    (Tally, statistics.BuildsOfDay),
    (Tally, statistics.InvocationsOfDay),
    (Overview, statistics.OverviewView),
]
NESTED = {"parts", "today", "events_url"}
RECKONED = {
    projects.ProjectView: {"position", "verdict"},
    tasks.TaskView: {"retry_count"},
    sessions.MessageView: {"content"},
    sessions.ReplyView: {"content", "session_id", "asked"},
}
"""What is told of an entity and is no field of it, or is there for all that have this view."""

INTERNAL = {
    "tenant_id", "fence", "dispatch", "due_at", "worker_id", "heartbeat", "deleted_at", "not_before", "revision", "payload", "secret",
}  # fmt: skip


@pytest.mark.parametrize(("entity", "view"), VIEWS, ids=lambda kind: kind.__name__)
def test_a_view_has_the_types_of_its_entity_and_nothing_internal(entity: type[Struct], view: type[Struct]) -> None:
    known, shown = get_type_hints(entity), get_type_hints(view)
    assert not INTERNAL & shown.keys()
    for name in shown.keys() - NESTED - RECKONED.get(view, set()):
        assert shown[name] == known[name], name


def test_requests_refuse_what_they_do_not_know() -> None:
    requests = [
        projects.NewProject, projects.ControlCommand, agents.AgentChanges, agents.NewInvocation,
        sessions.NewSession, sessions.SessionChanges, sessions.NewMessage,
    ]  # fmt: skip
    for request in requests:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"tenant_id": "tnt_two"}, request)
        assert request.__struct_config__.forbid_unknown_fields
