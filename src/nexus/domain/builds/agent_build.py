"""The workflow `agent_build`: from a sentence to a deployed agent in nine stages."""

from nexus.domain.builds.outputs import Architecture, Brief, Design, PromptText, Requirements
from nexus.domain.builds.report import Verified
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
from nexus.domain.builds.workflow import StageSpec, Workflow

AGENT_BUILD = Workflow(
    name="agent_build",
    stages=(
        StageSpec(name="intake", display_name="Intake", output=Brief, whole=intake.intake, settle=intake.settle),
        StageSpec(
            name="requirements",
            display_name="Requirements",
            output=Requirements,
            whole=requirements.requirements,
            needs=("intake",),
        ),
        StageSpec(
            name="architecture",
            display_name="Architecture",
            output=Architecture,
            whole=architecture.architecture,
            needs=("requirements",),
        ),
        StageSpec(
            name="design", display_name="Design", output=Design, per_agent=design.design, needs=("architecture",)
        ),
        StageSpec(name="tools", display_name="Tools", output=tools.ToolSet, per_agent=tools.tools, needs=("design",)),
        StageSpec(name="prompt", display_name="Prompt", output=PromptText, per_agent=prompt.prompt, needs=("tools",)),
        StageSpec(
            name="assembly",
            display_name="Assembly",
            output=assembly.Assembled,
            per_agent=assembly.assembly,
            needs=("tools", "prompt"),
        ),
        StageSpec(
            name="verification",
            display_name="Verification",
            output=Verified,
            per_agent=verification.verification,
            settle=verification.settle,
            needs=("assembly",),
        ),
        StageSpec(
            name="deployment",
            display_name="Deployment",
            output=deployment.Deployed,
            whole=deployment.deployment,
            settle=deployment.settle,
            needs=("verification",),
            optional=True,
        ),
    ),
)
WORKFLOWS = {AGENT_BUILD.name: AGENT_BUILD}
