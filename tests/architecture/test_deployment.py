"""The image, the compose file and the stack of `make stack` are one set-up."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from nexus.settings import list_env_variables, parse_environment
from nexus.start import find_role_faults
from tests.stack.processes import APIS, STORES, WORKERS, Stack, find_store_command

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text()
ONLY_THERE = {"NEXUS_AUTH__TOKEN", "NEXUS_ROLE"}
"""What containers need that listen beyond their own machine."""
ONLY_HERE = {"NEXUS_DATA_DIR"}


def environment_of(service: str) -> dict[str, str]:
    found: dict[str, str] = COMPOSE["services"][service]["environment"]
    return found


def test_the_stack_runs_the_services_of_the_compose_file(tmp_path: Path) -> None:
    assert {*COMPOSE["services"]} - {"init"} == {*APIS, *WORKERS, "nginx", "redis", *STORES}


def test_both_set_the_same(tmp_path: Path) -> None:
    stack = Stack(tmp_path)
    for name in (*APIS, *WORKERS):
        here, there = stack.make_environ(name), environment_of(name)
        assert {*there} - ONLY_THERE == {*here} - ONLY_HERE
        same = ("NEXUS_TABLES__BACKEND", "NEXUS_EVENTS__BACKEND", "NEXUS_QUEUE__BACKEND", "NEXUS_BUILDS__LEASE_SECONDS")
        assert [here[key] for key in same] == [there[key] for key in same]


def test_what_stands_for_tables_and_queues_may_be_chosen_among_what_is_known() -> None:
    for name in STORES:
        assert find_store_command(name, 7, {}) == find_store_command(name, 7, {f"STACK_{name.upper()}": "moto"})
        assert find_store_command(name, 7, {})[-1] == "7"
        with pytest.raises(SystemExit, match=f"STACK_{name.upper()}=none is not known"):
            find_store_command(name, 7, {f"STACK_{name.upper()}": "none"})


def test_every_service_of_ours_has_settings_that_can_start() -> None:
    known = {variable.name for variable in list_env_variables()}
    for name in (*APIS, *WORKERS):
        found = {key: value for key, value in environment_of(name).items() if key.startswith("NEXUS_")}
        assert {*found} <= known
        assert find_role_faults(parse_environment(found)) == []
        role = name.partition("-")[0]
        assert found["NEXUS_ROLE"] == role
        assert COMPOSE["services"][name]["command"] == (["serve", "--role", "api"] if role == "api" else ["worker"])


def test_nginx_knows_every_api_process_and_passes_streams_on() -> None:
    text = (ROOT / "deploy/nginx.conf").read_text()
    assert re.findall(r"server (\S+):8000", text) == [*APIS]
    assert "proxy_buffering off" in text and "non_idempotent" not in text


def test_redis_evicts_nothing() -> None:
    assert "noeviction" in COMPOSE["services"]["redis"]["command"]


def test_the_image_installs_what_the_lock_file_says_and_runs_as_no_root() -> None:
    assert "uv sync --frozen" in DOCKERFILE
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert re.search(r"^USER nexus$", last, re.MULTILINE) and 'ENTRYPOINT ["nexus"]' in last
    copied = {
        path for line in re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE) for path in line.split()
    }
    offered = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert copied == offered and all((ROOT / path).exists() for path in copied)
