"""Jobs of sessions."""

from nexus.domain.services import Services
from nexus.domain.sessions.model import WriteReply


async def generate_reply(services: Services, job: WriteReply) -> None:
    await services.replies.write_reply(job.reply_id)


async def release_unstarted_reply(services: Services, job: WriteReply) -> None:
    await services.replies.release_reply(job.reply_id)
