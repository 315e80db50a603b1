"""`[model]` of agent.toml: the model that is named answers, and one that there is not is told before anybody chats."""

from collections.abc import Mapping

import pytest
from msgspec import structs

from nexus.adapters.memory.models import MemoryCatalog
from nexus.domain.agents.deployments import Wanted
from nexus.domain.agents.model import NotDeployable
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.database import Window
from nexus.domain.ports.repository import ANYONE, Writer
from tests.domain.builds.scripts import doubling, script
from tests.domain.builds.test_builds import WANTED, over
from tests.fakes.models import ScriptedModel
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, make_adapters, open_app


class Editing(MemoryRepository):
    """A repository whose agents name the model `other`, as one that a user has edited."""

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        edited = {
            path: (content or b"").replace(b'name = "default"', b'name = "other"') for path, content in files.items()
        }
        return await super().commit(project_id, edited, message=message, key=key, writer=writer)


async def test_a_model_that_there_is_not_fails_verification_with_its_name() -> None:
    async with open_app(structs.replace(make_adapters(script()), repository=Editing())) as app:
        project = await over(app, (await app.services.builds.start(ANN, WANTED)).project_id)
        assert (project.status, project.current_stage) == ("failed", "verification")
        assert project.error_info is not None
        assert "There is no model 'other' here" in project.error_info["message"]


async def test_the_model_that_is_named_answers_and_is_counted_and_its_absence_forbids_a_deployment() -> None:
    other = ScriptedModel(*doubling(1), *doubling(2), *doubling(3), name="other")
    builder = script()
    on = structs.replace(make_adapters(), models=MemoryCatalog(builder, other), repository=Editing())
    async with open_app(on) as app:
        project = await over(app, (await app.services.builds.start(ANN, WANTED)).project_id)
        assert (project.status, project.error_info) == ("completed", None)
        [agent] = (await app.services.agents.list_agents(ANN, Window())).items
        asked = len(builder.requests)
        invocation = await app.services.invocations.invoke(ANN, agent.agent_id, "double 2")
        assert (invocation.status, invocation.output_text) == ("success", "That is 4.")
        assert (len(builder.requests), [request.purpose for request in other.requests]) == (asked, ["reply"] * 6)
    without = structs.replace(make_adapters(like=on, clock=app.clock), models=MemoryCatalog(builder))
    async with open_app(without) as app:
        with pytest.raises(NotDeployable, match=r"agent\.toml, \[model\]: There is no model 'other' here"):
            await app.services.deployments.deploy(ANN, agent.agent_id, Wanted())
        with pytest.raises(InvalidInput, match="There is no model 'other' here"):
            await app.services.invocations.invoke(ANN, agent.agent_id, "double 2")
