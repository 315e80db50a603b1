"""`nexus agents`: which version answers, and what it lacks."""

from tests.cli.conftest import Nexus
from tests.client import fake as say
from tests.client.fake import Fake
from tests.client.things import agent, deployment, project, version

UNMET = ["FR-2 Weight: there is no tool for it", "FR-3 Money: no case exercises it"]
DEPLOYMENTS = "/api/v2/agents/agt_1/deployments"


def test_a_version_is_deployed_with_what_is_accepted(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([agent()]))
    fake.on("POST", DEPLOYMENTS, say.good(deployment(2, verdict="partial"), 201))
    said = nexus("agents", "deploy", "unit_converter", "--version", "2", "--allow-partial")
    assert (said.code, said.out) == (0, "Version 2 of Unit converter answers now. Verification: partial.\n")
    assert "nexus chat unit_converter" in said.err
    [sent] = fake.asked("POST", DEPLOYMENTS)
    assert sent.json == {"version": 2, "accept_partial": True}
    assert sent.headers["Idempotency-Key"]
    said = nexus("agents", "deploy", "unit_converter", "--allow-failed", "--json")
    assert said.json["deployment_id"] == "dep_1"
    assert fake.asked("POST", DEPLOYMENTS)[-1].json == {"accept_failed": True}


def test_a_version_that_is_not_accepted_is_refused_with_the_command_that_accepts_it(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([agent()]))
    refused = {
        "type": "urn:nexus:problem:not-accepted",
        "detail": f"Version 2 is partial: {UNMET[0]}.",
        "verdict": "partial",
    }
    fake.on("POST", DEPLOYMENTS, say.problem(409, **refused, unmet=UNMET))
    said = nexus("agents", "deploy", "unit_converter", "--version", "2")
    assert said.code == 4
    assert UNMET[0] in said.err
    assert "nexus agents deploy unit_converter --version 2 --allow-partial\n" in said.err


def test_an_agent_is_shown_with_all_that_its_newest_version_does_not_meet(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents/agt_1", say.good(agent(verdict="partial")))
    fake.on("GET", "/api/v2/agents/agt_1/versions", say.listed([version(verdict="partial", unmet=UNMET)]))
    said = nexus("agents", "show", "agt_1")
    assert "verdict          partial" in said.out
    assert all(line in said.out for line in UNMET)
    assert nexus("agents", "show", "agt_1", "--json").json["unmet"] == UNMET


def test_versions_are_listed_with_all_that_they_do_not_meet(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents/agt_1", say.good(agent(verdict="partial")))
    both = [version(2, verdict="partial", unmet=UNMET), version(1)]
    fake.on("GET", "/api/v2/agents/agt_1/versions", say.listed(both))
    said = nexus("agents", "versions", "agt_1").out
    assert said.endswith("Version 2 does not meet:\n" + "".join(f"  {line}\n" for line in UNMET))
    assert "Version 1 does not meet" not in said


def test_a_project_is_listed_and_shown_with_its_verdict(fake: Fake, nexus: Nexus):
    partial = project(verdict="partial", metrics={"tests_run": 3, "verdict": "partial", "unmet": UNMET})
    fake.on("GET", "/api/v2/projects", say.listed([partial, project("prj_2", status="failed", verdict=None)]))
    fake.on("GET", "/api/v2/projects/prj_1", say.good(partial))
    lines = [line.split() for line in nexus("projects", "list").out.splitlines()]
    assert [line[:3] for line in lines] == [
        ["ID", "STATUS", "VERDICT"],
        ["prj_1", "completed", "partial"],
        ["prj_2", "failed", "-"],
    ]
    said = nexus("projects", "show", "prj_1").out.splitlines()
    assert [line.removeprefix("unmet").strip() for line in said if line.endswith(tuple(UNMET))] == UNMET
