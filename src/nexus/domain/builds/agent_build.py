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
        StageSpec("intake", intake.run_intake_stage, finalize=intake.make_intake_effects),
        StageSpec("requirements", requirements.run_requirements_stage, needs=("intake",)),
        StageSpec("architecture", architecture.run_architecture_stage, needs=("requirements",)),
        StageSpec("design", design.run_design_stage, parts=list_agents, needs=("architecture",)),
        StageSpec("tools", tools.run_tools_stage, parts=list_agents, needs=("design",)),
        StageSpec("prompt", prompt.run_prompt_stage, parts=list_agents, needs=("tools",)),
        StageSpec("assembly", assembly.run_assembly_stage, parts=list_agents, needs=("tools", "prompt")),
        StageSpec(
            "verification",
            verification.run_verification_stage,
            parts=list_agents,
            finalize=verification.make_verification_effects,
            needs=("assembly",),
        ),
        StageSpec(
            "deployment",
            deployment.run_deployment_stage,
            finalize=deployment.make_deployment_effects,
            needs=("verification",),
            optional=True,
        ),
    ),
)
