"""What a build tells of what it is worth: files, rows and events say the same, and nothing of it steers a display."""

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from msgspec import structs

from nexus.domain.builds.outputs import Brief
from nexus.domain.builds.report import Verified
from nexus.domain.ports.models import LocalModel
from nexus.domain.projects.model import Project
from tests.domain.builds.scripts import AGENT, ARCHITECTURE, BRIEF, DESIGN, said, script
from tests.domain.builds.test_builds import WANTED, over
from tests.domain.builds.test_verdicts import FAILED, PARTIAL, WHY
from tests.fakes.models import MemoryDiscovery, ScriptedModel
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

FOLDER = "agents/doubler"


async def built(app: MemoryApp) -> Project:
    return await over(app, (await app.services.builds.start(ANN, WANTED)).project_id)


async def text(app: MemoryApp, project: Project, path: str) -> str:
    return (await app.services.projects.read_file(ANN, project.project_id, path)).decode()


async def test_a_partial_build_names_what_is_unmet_wherever_one_looks() -> None:
    async with open_app(make_adapters(script(**PARTIAL))) as app:
        project = await built(app)
        line = f"FR-2 Triple: {WHY}"
        metrics = project.metrics or {}
        assert [metrics[name] for name in ("requirements_met", "requirements_total", "unmet")] == [1, 2, [line]]
        stage = (await app.services.projects.list_current_stages(ANN, project.project_id))[7]
        assert stage.output_data
        assert stage.output_data["summary"] == "partial: met 1/2, tests 2/2; not met: FR-2 Triple"
        assert any(line in told for told in stage.logs)
        assert line in await text(app, project, f"{FOLDER}/README.md")
        told = await text(app, project, f"{FOLDER}/docs/report.md")
        assert "**partial: met 1/2, tests 2/2; not met: FR-2 Triple**" in told
        assert "| FR-1 Double | `doubles_two` | ✔ met |" in told
        assert f"| FR-2 Triple | — | ✘ not met: {WHY} |" in told


async def test_the_event_of_verification_tells_the_verdict_and_what_is_unmet() -> None:
    async with open_app(make_adapters(script(**PARTIAL))) as app:
        project = await built(app)
        found = []
        async for batch in await app.services.projects.stream_build_events(ANN, project.project_id):
            found += [msgspec.json.decode(event) for event in batch.events]
            if found[-1]["type"] == "build.completed":
                break
        [event] = [one for one in found if one["type"] == "stage.completed" and one["stage"] == "verification"]
        assert (event["verdict"], event["unmet"]) == ("partial", [f"FR-2 Triple: {WHY}"])
        assert [one for one in found if one["type"] == "stage.completed" and "verdict" in one] == [event]


async def test_a_case_that_fails_leaves_its_requirement_unmet_and_says_why() -> None:
    async with open_app(make_adapters(script(**FAILED))) as app:
        project = await built(app)
        [line] = (project.metrics or {})["unmet"]
        assert line == "FR-1 Double: doubles_two: double_it was not called"
        assert line in await text(app, project, f"{FOLDER}/README.md")


async def test_each_requirement_names_its_case_or_why_there_is_none() -> None:
    async with open_app(make_adapters(script(**PARTIAL))) as app:
        told = await text(app, await built(app), "docs/requirements.md")
        double, triple = told.split("### FR-2")
        assert "Shown by:\n\n- `doubles_two` (`agents/doubler/tests/cases.toml`): double 2" in double
        assert f"Shown by:\n\n- not met: {WHY}" in triple


async def test_a_readme_says_once_what_the_agent_cannot_do_and_what_one_can_ask() -> None:
    limited = structs.replace(DESIGN, limits=[WHY, "Numbers only."])
    async with open_app(make_adapters(script(**PARTIAL, design=[said(limited)]))) as app:
        told = await text(app, await built(app), f"{FOLDER}/README.md")
        assert told.count(WHY) == 1
        assert "- double 2" in told
        assert "- Numbers only." in told


async def test_names_that_steer_a_display_are_escaped_in_every_document() -> None:
    evil = "Doub\x1b[31mler\n# Passed\u202e"
    model = script(
        intake=[said(structs.replace(BRIEF, name=evil))],
        architecture=[said(structs.replace(ARCHITECTURE, agents=[structs.replace(AGENT, name=evil, purpose=evil)]))],
    )
    async with open_app(make_adapters(model)) as app:
        project = await built(app)
        for path in (f"{FOLDER}/docs/report.md", f"{FOLDER}/README.md", f"{FOLDER}/docs/design.md", "docs/brief.md"):
            told = await text(app, project, path)
            assert "Doub\\x1b[31mler # Passed\\u202e" in told, path
            assert all(one.isprintable() or one == "\n" for one in told), path


async def test_plain_pytest_in_the_folder_of_a_package_runs_its_tests(tmp_path: Path) -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        for path in await app.services.projects.list_files(ANN, project.project_id):
            place = tmp_path / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(await text(app, project, path))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", "--rootdir", "."]
    ran = subprocess.run(command, cwd=tmp_path / FOLDER, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, "1 passed" in ran.stdout) == (0, True), ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("servers", "way"),
    [
        ([], "`nexus models use openai/gpt-4o-mini --key-env OPENAI_API_KEY`"),
        (
            [LocalModel(provider="ollama", base_url="http://127.0.0.1:11434/v1", names=("llama3.2", "qwen3"))],
            "Found on this machine: ollama/llama3.2. Use it with `nexus models use ollama/llama3.2`",
        ),
        ([LocalModel(provider="vllm", base_url="http://127.0.0.1:8000/v1")], "No model was found on this machine."),
        ([LocalModel(provider="vllm", base_url="http://127.0.0.1:8000/v1", names=("a; rm b",))], "use 'vllm/a; rm b'`"),
    ],
    ids=["none", "ollama", "nothing loaded", "a strange name"],
)
async def test_what_needs_a_language_model_fails_in_intake_and_names_the_way_on(
    servers: list[LocalModel], way: str
) -> None:
    needs = structs.replace(BRIEF, intent="needs_language_model", problem="Only a language model can write poems.")
    model = ScriptedModel(name="offline", by_purpose={"build.intake": [said(needs)]})
    on = structs.replace(make_adapters(model), discovery=MemoryDiscovery(*servers))
    async with open_app(on) as app:
        project = await built(app)
        assert project.error_info is not None
        assert (project.status, project.agent_ids) == ("failed", [])
        assert (project.error_info["code"], project.error_info["stage"]) == ("needs_language_model", "intake")
        assert project.error_info["message"].startswith("Only a language model can write poems. ")
        assert way in project.error_info["message"]


async def test_a_language_model_that_says_that_it_needs_one_finds_the_requirement_unclear() -> None:
    needs = structs.replace(BRIEF, intent="needs_language_model", problem="It does not say which poems.")
    async with open_app(make_adapters(script(intake=[said(needs)]))) as app:
        project = await built(app)
        assert project.error_info is not None
        assert (project.error_info["code"], project.error_info["stage"]) == ("requirement_unclear", "intake")
        assert project.error_info["message"] == "It does not say which poems."


def test_what_was_stored_before_there_were_three_verdicts_is_still_read() -> None:
    old = {"passed": False, "tests_run": 2, "tests_passed": 1, "reason": "x", "unmet": ["FR-2: no tool"]}
    assert msgspec.convert(old, Verified).verdict == "failed"
    assert msgspec.convert(old | {"passed": True}, Verified).verdict == "passed"
    now = Verified(verdict="partial", tests_run=2, tests_passed=2)
    assert msgspec.convert(msgspec.to_builtins(now), Verified) == now
    brief = msgspec.to_builtins(BRIEF)
    assert msgspec.convert(brief, Brief).intent == "new"
