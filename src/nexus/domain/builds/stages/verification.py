"""Stage 8, for each agent: unit tests, static checks and behavioural cases against the assembled agent; then the version with its verdict."""

from collections.abc import Mapping

import msgspec

from nexus.domain.agents import package
from nexus.domain.agents.package import Package
from nexus.domain.agents.rules import Origin, Registration
from nexus.domain.builds import acceptance, report
from nexus.domain.builds.acceptance import CaseResult
from nexus.domain.builds.documents import format_readme, translate_label
from nexus.domain.builds.examination import run_test_case, run_unit_tests
from nexus.domain.builds.outputs import Architecture, Brief, Design, PlannedAgent, PromptText, Requirements
from nexus.domain.builds.report import Findings, Verified
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.stages.parts import find_planned_agent
from nexus.domain.builds.stages.prompt import make_prompt_input
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.ports.code import TestResult
from nexus.domain.projects.model import StageEffects


async def run_verification_stage(context: StageContext) -> StageOutput:
    agent = find_planned_agent(context)
    packages = await context.services.agents.load_agent_packages(context.project.project_id)
    findings = await _examine_agent(context, agent, packages)
    if findings.failed_cases:
        packages, findings = await _repair_agent(context, agent, packages, findings)
    verified, say = report.summarize_findings(findings), context.get_stage_output(Brief, "intake").language
    for line in verified.unmet:
        await context.note(f"{agent.slug}: {translate_label('not_met', say)}: {line}")
    await context.note(f"{agent.slug}: {report.format_verdict_line(verified, say)}")
    made, tested = context.get_stage_output(Design, "design", agent.slug), packages[agent.slug]
    files = {
        f"agents/{agent.slug}/prompt.md": tested.prompt,
        f"agents/{agent.slug}/README.md": format_readme(
            tested.manifest, made, verified.unmet, say, context.services.commands
        ),
        f"agents/{agent.slug}/docs/report.md": report.format_verification_report(agent, findings, verified, say),
    }
    return StageOutput(output=verified, files=files, summary=report.format_verdict_line(verified, say))


async def _examine_agent(context: StageContext, agent: PlannedAgent, packages: Mapping[str, Package]) -> Findings:
    """The package of an agent, among those that it may ask."""
    cases, tested = context.get_stage_output(Design, "design", agent.slug).cases, packages[agent.slug]
    spec = await context.services.resolver.make_agent_spec(tested, agent_id=agent.slug, others=packages)
    tests, problems, results = list[TestResult](), list[str](), list[CaseResult]()
    if agent.new_tools:
        tests, problems = await run_unit_tests(context.services.code, tested)
    for number, case in enumerate(cases, 1):
        results.append(await run_test_case(context.ask_agent, spec, case))
        await context.advance(number, len(cases))
    planned = context.get_stage_output(Architecture, "architecture")
    needed = context.get_stage_output(Requirements, "requirements")
    return Findings(
        model=context.services.models.with_model(spec.model).name,
        boundary=context.services.code.get_isolation_tier().detail,
        problems=problems,
        tests=tests,
        cases=results,
        requirements=acceptance.make_requirement_results(agent, planned, needed, results),
    )


async def _repair_agent(
    context: StageContext, agent: PlannedAgent, packages: dict[str, Package], findings: Findings
) -> tuple[dict[str, Package], Findings]:
    """One round: a new prompt, kept when more cases pass under it."""
    failure = "\n".join(f"{found.case.name}: {found.problem}" for found in findings.failed_cases)
    await context.note(f"{agent.slug}: repairing the prompt for {len(findings.failed_cases)} case(s)")
    tested = packages[agent.slug]
    asked = make_prompt_input(context, agent, previous=tested.prompt, failure=failure)
    made = await context.ask_model(PromptText, asked, prompt="prompt")
    better = package.parse_package({**tested.files, "prompt.md": made.prompt.rstrip() + "\n"})
    changed = {**packages, agent.slug: better}
    again = await _examine_agent(context, agent, changed)
    if len(again.failed_cases) < len(findings.failed_cases):
        return changed, again
    return packages, findings


async def make_verification_effects(
    context: StageContext, outputs: Mapping[str, StageOutput], commit_id: str
) -> StageEffects:
    """Every agent's next version with its verdict, and what the build comes to."""
    packages = await context.services.agents.load_agent_packages(context.project.project_id, at=commit_id)
    verdicts = {slug: part.output for slug, part in outputs.items() if isinstance(part.output, Verified)}
    registrations = [_make_registration(packages[slug], found, commit_id) for slug, found in verdicts.items()]
    origin = msgspec.convert(context.project, Origin, from_attributes=True)
    writes = await context.services.agents.make_version_writes(origin, registrations)
    ids = [context.services.agents.make_agent_id(context.project.project_id, slug) for slug in verdicts]
    metrics = report.summarize_build_results(list(verdicts.values()))
    told = {name: metrics[name] for name in ("verdict", "unmet")}
    return StageEffects(writes=writes, project={"agent_ids": ids, "metrics": metrics}, told=told)


def _make_registration(found: Package, verified: Verified, commit_id: str) -> Registration:
    return Registration(
        package=found,
        folder=f"agents/{found.manifest.agent.slug}",
        commit_id=commit_id,
        verdict=verified.verdict,
        tests_run=verified.tests_run,
        tests_passed=verified.tests_passed,
        summary=verified.reason,
        unmet=verified.unmet,
    )
