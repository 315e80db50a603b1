"""Jobs of sessions."""

from nexus.domain.services import Services
from nexus.domain.sessions.model import WriteReply


async def write_reply(services: Services, job: WriteReply) -> None:
    await services.replies.write(job.reply_id)


async def hand_back(services: Services, job: WriteReply) -> None:
    await services.replies.release(job.reply_id)
