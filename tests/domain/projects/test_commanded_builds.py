"""What a command makes of a build that nobody runs: its row tells the same as the project's."""

from nexus.domain.projects.model import Command
from tests.domain.builds.test_builds import STAGES, WANTED
from tests.memory_app import ANN, open_app


async def test_the_row_of_a_build_follows_the_commands_also_while_nobody_runs_it() -> None:
    steps: tuple[tuple[Command, str], ...] = (("pause", "paused"), ("resume", "queued"), ("stop", "cancelled"))
    async with open_app(serving=False) as app:
        projects = app.services.projects
        started = await app.services.builds.start(ANN, WANTED)
        for command, status in steps:
            project = await app.services.builds.execute_build_command(ANN, started.project_id, command)
            build = await projects.get_current_build(ANN, started.project_id)
            assert (project.status, build.status) == (status, status)
            assert build.completed_at == project.completed_at
        assert build.completed_at
        assert [stage["stage"] for stage in build.stages] == STAGES
