"""Generated calls against a server of its own: `make fuzz-api`. Schemathesis lives in an environment beside the project's.

Two rounds: the document as it is, and with the ids of things that are there, so that what lies behind an id is reached as well."""

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.request
import venv
from pathlib import Path
from typing import Any

from tests.journeys.server import Server

SCHEMATHESIS = "schemathesis==4.32.5"
FOLDER = Path(".fuzz-venv")
TOKEN = "token-of-the-fuzzer"
PHASES = "examples,coverage,fuzzing,stateful"
SETTINGS = {
    "NEXUS_AUTH__TOKEN": TOKEN,
    "NEXUS_BUILDS__CONCURRENCY": "1",
    "NEXUS_BUILDS__PER_TENANT": "1",
    "NEXUS_BUILDS__HELD_PER_TENANT": "2",
    "NEXUS_LIMITS__STREAM_SECONDS": "1",
    "NEXUS_LOG__LEVEL": "warning",
}
RULES = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 422, 429, 503]

[checks.ensure_resource_availability]
enabled = false
"""
"""Some rules no schema can tell (a cursor is one of this list, a key comes with one body only, an entity tag is the present one): 422, 412.
And a repeated key gets its first answer also when what was made then has been deleted since."""
REQUIREMENT = "An agent that converts kilometres to miles"


def installed() -> Path:
    """The command of an environment that is made when it is not there."""
    command = FOLDER.resolve() / "bin" / "st"
    if not command.exists():
        venv.create(FOLDER, with_pip=True)
        subprocess.run([FOLDER / "bin" / "pip", "install", "--quiet", SCHEMATHESIS], check=True)
    return command


class Site:
    """What a server has to offer: one agent with a session and a reply."""

    def __init__(self, url: str) -> None:
        self.url = url
        project = self.call("POST", "/api/v2/projects", {"requirement": REQUIREMENT})
        self.call("GET", f"/api/v2/projects/{project['project_id']}/events")
        [agent] = self.call("GET", "/api/v2/agents")["items"]
        session = self.call("POST", f"/api/v2/agents/{agent['agent_id']}/sessions", {})
        said = {"content": "Convert 5 km to miles"}
        reply = self.call("POST", f"/api/v2/sessions/{session['session_id']}/messages", said)
        self.ids = {
            "project_id": project["project_id"],
            "task_id": project["task_id"],
            "agent_id": agent["agent_id"],
            "session_id": session["session_id"],
            "reply_id": reply["reply_id"],
            "message_id": reply["reply_id"],
            "tool_id": self.call("GET", "/api/v2/tools")["items"][0]["tool_id"],
            "path": "README.md",
        }

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Reads a stream to the end of its build, and all else as JSON."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        while True:
            request = urllib.request.Request(self.url + path, data, headers, method=method)
            with urllib.request.urlopen(request, timeout=120) as answer:
                text = answer.read().decode()
            if not path.endswith("/events"):
                return json.loads(text)
            if "event: build.completed" in text:
                return None
            assert "event: build.failed" not in text, text

    def with_ids(self, document: dict[str, Any]) -> dict[str, Any]:
        """The document of this site alone."""
        for item in document["paths"].values():
            for operation in item.values():
                for parameter in operation.get("parameters", ()):
                    if parameter["in"] == "path":
                        parameter["schema"] = {"type": "string", "enum": [self.ids[parameter["name"]]]}
        return document


def fuzz(site: Site, document: Path, seconds: int, *extra: str) -> int:
    """The exit code of one round."""
    config = document.with_name("schemathesis.toml")
    config.write_text(RULES)
    command = [
        str(installed()), "--config-file", str(config), "run", str(document), "--url", site.url, "-H", f"Authorization: Bearer {TOKEN}", "--phases", PHASES,
        "--max-time", str(seconds), "--request-timeout", "20", "--continue-on-failure",
        "--generation-database", "none", *extra,
    ]  # fmt: skip
    return subprocess.run(command, check=False, cwd=document.parent).returncode


def main() -> int:
    """0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "data", **SETTINGS) as server:
        site, rounds = Site(server.ready()), []
        document = site.call("GET", "/openapi.json")
        known = site.with_ids(site.call("GET", "/openapi.json"))
        for name, content, extra in (("as-it-is", document, ()), ("with-ids", known, ("--exclude-method", "DELETE"))):
            path = Path(folder) / f"{name}.json"
            path.write_text(json.dumps(content))
            rounds.append(fuzz(site, path, asked.seconds // 2, "--seed", str(asked.seed), *extra))
        wrong = [line for line in server.said if '"level":"error"' in line]
        sys.stderr.write("".join(wrong[:20]))
    return 1 if any(rounds) or wrong else 0


if __name__ == "__main__":
    sys.exit(main())
