"""The parts of the stages that are done for each agent: those that stage `architecture` planned."""

from collections.abc import Sequence

import msgspec

from nexus.domain.builds.outputs import Architecture, PlannedAgent
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.workflow import Outputs


def list_agents(outputs: Outputs) -> Sequence[str]:
    """Their slugs."""
    return [agent.slug for agent in msgspec.convert(outputs["architecture"][""], Architecture).agents]


def find_planned_agent(context: StageContext) -> PlannedAgent:
    """The one that this part of a stage is about."""
    planned = context.get_stage_output(Architecture, "architecture").agents
    return next(agent for agent in planned if agent.slug == context.part)
