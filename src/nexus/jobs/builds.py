"""Jobs of builds."""

from nexus.domain.builds.model import RunBuild
from nexus.domain.services import Services


async def run_build(services: Services, job: RunBuild) -> None:
    await services.build_runner.run_build_job(job.task_id)


async def release_unstarted_build(services: Services, job: RunBuild) -> None:
    await services.build_runner.release_unstarted_build(job.task_id)
