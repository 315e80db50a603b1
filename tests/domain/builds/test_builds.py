"""A build from a sentence to an agent, on a scripted model."""

from nexus.domain.ports.database import Window
from nexus.domain.projects.model import Project
from nexus.domain.projects.starts import Opening
from tests.domain.builds.scripts import script
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

WANTED = Opening(requirement="An agent that doubles numbers")
STAGES = [
    "intake",
    "requirements",
    "architecture",
    "design",
    "tools",
    "prompt",
    "assembly",
    "verification",
    "deployment",
]


async def over(app: MemoryApp, project_id: str) -> Project:
    """The project once its build has ended."""
    async for _ in await app.services.projects.stream_build_events(ANN, project_id):
        pass
    return await app.services.projects.get(ANN, project_id)


async def test_nine_stages_make_an_agent_that_answers() -> None:
    async with open_app(make_adapters(script())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        assert (project.project_name, project.progress) == ("Doubler", 100.0)
        stages = await app.services.projects.list_current_stages(ANN, project.project_id)
        assert [stage.stage_name for stage in stages] == STAGES
        assert {stage.status for stage in stages} == {"completed"}
        [agent] = (await app.services.agents.list_agents(ANN, Window())).items
        assert (agent.active_version, agent.status, agent.slug) == (1, "running", "doubler")
        commits = await app.services.projects.list_commits(ANN, project.project_id)
        assert [commit.key for commit in commits] == [f"1/{name}" for name in reversed(STAGES)]


async def test_the_events_tell_the_build_in_order_and_without_gap() -> None:
    async with open_app(make_adapters(script())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await over(app, started.project_id)
        positions, tags = list[int](), list[str]()
        async for batch in await app.services.projects.stream_build_events(ANN, project.project_id):
            positions += range(batch.first, batch.first + len(batch.events))
            tags += [event.split(b'"', 4)[3].decode() for event in batch.events]
        assert positions == list(range(1, project.events + 1))
        assert [tag for tag in tags if tag == "stage.completed"] == ["stage.completed"] * 9
        assert tags[:3] == ["build.queued", "build.started", "stage.started"]
