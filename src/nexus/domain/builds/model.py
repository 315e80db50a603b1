"""Builds: what is asked for, and how a stage may fail."""

from msgspec import Struct

from nexus.domain.core.errors import NexusError
from nexus.domain.ports.jobs import Job
from nexus.domain.projects.model import ProjectStatus


class RunBuild(Job, frozen=True, kw_only=True, tag="builds.run"):
    task_id: str


class Started(Struct, frozen=True, kw_only=True):
    """The answer to who asked for a build. `position`: how many of the tenant's builds are before one that is held."""

    project_id: str
    task_id: str
    project_name: str
    status: ProjectStatus
    position: int | None = None
    created_at: str


class StageFailed(NexusError):
    """A stage cannot give what it is for, and trying again would not help. `facts["code"]` names why."""

    title = "The stage failed"


class UserCommands(Struct, frozen=True, kw_only=True):
    """What texts tell people to type. `{}` in `use_model` is the model."""

    list_models: str
    use_model: str
    use_hosted_model: str
    use_local_model: str
    run_package: str
    test_package: str
