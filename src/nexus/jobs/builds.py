"""Jobs of builds."""

from nexus.domain.builds.model import RunBuild
from nexus.domain.services import Services


async def run_build(services: Services, job: RunBuild) -> None:
    await services.build_runner.run(job.task_id)


async def hand_back(services: Services, job: RunBuild) -> None:
    await services.build_runner.hand_back(job.task_id)
