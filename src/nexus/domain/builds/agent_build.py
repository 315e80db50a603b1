"""The workflow `agent_build`: from a sentence to a deployed agent in nine stages."""

from nexus.domain.builds.outputs import BuildRequest
from nexus.domain.builds.stages import (
    architecture,
    assembly,
    deployment,
    design,
    intake,
    prompt,
    requirements,
    tools,
    verification,
)
from nexus.domain.builds.stages.parts import list_agents
from nexus.domain.builds.workflow import StageSpec, Workflow

AGENT_BUILD = Workflow(
    name="agent_build",
    task_type="build_agent",
    inputs=BuildRequest,
    stages=(
        StageSpec("intake", intake.intake, finalize=intake.finalize),
        StageSpec("requirements", requirements.requirements, needs=("intake",)),
        StageSpec("architecture", architecture.run_architecture_stage, needs=("requirements",)),
        StageSpec("design", design.design, parts=list_agents, needs=("architecture",)),
        StageSpec("tools", tools.tools, parts=list_agents, needs=("design",)),
        StageSpec("prompt", prompt.prompt, parts=list_agents, needs=("tools",)),
        StageSpec("assembly", assembly.assembly, parts=list_agents, needs=("tools", "prompt")),
        StageSpec(
            "verification",
            verification.verification,
            parts=list_agents,
            finalize=verification.finalize,
            needs=("assembly",),
        ),
        StageSpec(
            "deployment", deployment.deployment, finalize=deployment.finalize, needs=("verification",), optional=True
        ),
    ),
)
