"""Stage 8, for each agent: unit tests, static checks and behavioural cases against the assembled agent; then the version with its verdict."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from nexus.domain.agents import package
from nexus.domain.agents.package import Package
from nexus.domain.agents.rules import Origin, Registration
from nexus.domain.builds import acceptance, report
from nexus.domain.builds.acceptance import CaseResult, RequirementResult
from nexus.domain.builds.documents import readme, word
from nexus.domain.builds.examination import run_case, run_unit_tests
from nexus.domain.builds.outputs import Architecture, Brief, Design, PlannedAgent, PromptText, Requirements
from nexus.domain.builds.report import Findings, Verified
from nexus.domain.builds.stage_context import StageContext
from nexus.domain.builds.stages.parts import planned_agent
from nexus.domain.builds.stages.prompt import question
from nexus.domain.builds.workflow import StageOutput
from nexus.domain.ports.code import TestResult
from nexus.domain.projects.model import Project, StageEffects
from nexus.domain.runtime.model import AgentSpec


class Candidate(Struct, frozen=True, kw_only=True):
    """The package under test, and those that it may ask."""

    agent: PlannedAgent
    package: Package
    others: Mapping[str, Package]

    def with_prompt(self, prompt: str) -> "Candidate":
        files = {**self.package.files, "prompt.md": prompt}
        return Candidate(agent=self.agent, package=package.read(files), others=self.others)

    async def spec(self, context: StageContext) -> AgentSpec:
        """Every tool reference has a schema, or InvalidInput: what cannot be read is no tool."""
        return await context.services.resolver.resolve(self.package, agent_id=self.agent.slug, others=self.others)


async def verification(context: StageContext) -> StageOutput:
    agent = planned_agent(context)
    packages = await context.services.agents.packages(context.project.project_id)
    others = {slug: found for slug, found in packages.items() if slug != agent.slug}
    candidate = Candidate(agent=agent, package=packages[agent.slug], others=others)
    findings = await _examine(context, candidate)
    if findings.failed_cases:
        candidate, findings = await _repair(context, candidate, findings)
    verified, say = report.sum_up(findings), context.earlier(Brief, "intake").language
    for line in verified.unmet:
        await context.note(f"{agent.slug}: {word('not_met', say)}: {line}")
    await context.note(f"{agent.slug}: {report.line(verified, say)}")
    made = context.earlier(Design, "design", agent.slug)
    files = {
        f"agents/{agent.slug}/prompt.md": candidate.package.prompt,
        f"agents/{agent.slug}/README.md": readme(
            candidate.package.manifest, made, verified.unmet, say, context.services.commands
        ),
        f"agents/{agent.slug}/docs/report.md": report.text(agent, findings, verified, say),
    }
    return StageOutput(output=verified, files=files, summary=report.line(verified, say))


async def _examine(context: StageContext, candidate: Candidate) -> Findings:
    cases = context.earlier(Design, "design", candidate.agent.slug).cases
    problems, spec = list[str](), await candidate.spec(context)
    tests = list[TestResult]()
    if candidate.agent.new_tools:
        tests, problems = await run_unit_tests(context.services.code, candidate.package)
    results = list[CaseResult]()
    for number, case in enumerate(cases, 1):
        results.append(await run_case(context.converse, spec, case))
        await context.advance(number, len(cases))
    return Findings(
        model=context.services.models.choose(spec.model).name,
        boundary=context.services.code.tier().detail,
        problems=problems,
        tests=tests,
        cases=results,
        requirements=_list_met(context, candidate.agent, results),
    )


def _list_met(context: StageContext, agent: PlannedAgent, cases: Sequence[CaseResult]) -> list[RequirementResult]:
    planned, needed = context.earlier(Architecture, "architecture"), context.earlier(Requirements, "requirements")
    return acceptance.results(agent, planned, needed, cases)


async def _repair(context: StageContext, candidate: Candidate, findings: Findings) -> tuple[Candidate, Findings]:
    """One round: a new prompt, kept when more cases pass under it."""
    failure = "\n".join(f"{found.case.name}: {found.problem}" for found in findings.failed_cases)
    await context.note(f"{candidate.agent.slug}: repairing the prompt for {len(findings.failed_cases)} case(s)")
    asked = question(context, candidate.agent, previous=candidate.package.prompt, failure=failure)
    made = await context.ask(PromptText, asked, prompt="prompt")
    better = candidate.with_prompt(made.prompt.rstrip() + "\n")
    again = await _examine(context, better)
    if len(again.failed_cases) < len(findings.failed_cases):
        return better, again
    return candidate, findings


async def finalize(context: StageContext, outputs: Mapping[str, StageOutput], commit_id: str) -> StageEffects:
    """Every agent's next version with its verdict, and what the build comes to."""
    packages = await context.services.agents.packages(context.project.project_id, at=commit_id)
    verdicts = {slug: part.output for slug, part in outputs.items() if isinstance(part.output, Verified)}
    registrations = [_registration(packages[slug], found, commit_id) for slug, found in verdicts.items()]
    writes = await context.services.agents.write_versions(_origin(context.project), registrations)
    ids = [context.services.agents.id_of(context.project.project_id, slug) for slug in verdicts]
    metrics = report.counts(list(verdicts.values()))
    told = {name: metrics[name] for name in ("verdict", "unmet")}
    return StageEffects(writes=writes, project={"agent_ids": ids, "metrics": metrics}, told=told)


def _origin(project: Project) -> Origin:
    return Origin(
        project_id=project.project_id,
        build_no=project.build_no,
        tenant_id=project.tenant_id,
        user_id=project.user_id,
    )


def _registration(found: Package, verified: Verified, commit_id: str) -> Registration:
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
