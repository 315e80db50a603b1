"""All services of the domain, one field a module."""

from msgspec import Struct

from nexus.domain.agents.deployments import Deployments
from nexus.domain.agents.invocations import Invocations
from nexus.domain.agents.service import Agents
from nexus.domain.builds.queue import BuildQueue
from nexus.domain.builds.runner import BuildRunner
from nexus.domain.builds.service import Builds
from nexus.domain.projects.deletions import Deletions
from nexus.domain.projects.service import Projects
from nexus.domain.sessions.deletions import SessionDeletions
from nexus.domain.sessions.replies import Replies
from nexus.domain.sessions.service import Sessions
from nexus.domain.statistics.service import Statistics
from nexus.domain.tasks.service import Tasks
from nexus.domain.tools.service import Tools


class Services(Struct, frozen=True, kw_only=True):
    projects: Projects
    deletions: Deletions
    builds: Builds
    build_queue: BuildQueue
    build_runner: BuildRunner
    agents: Agents
    deployments: Deployments
    invocations: Invocations
    sessions: Sessions
    session_deletions: SessionDeletions
    replies: Replies
    tasks: Tasks
    tools: Tools
    statistics: Statistics
