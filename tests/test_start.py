"""What must hold before a server starts."""

import os
import sys
from pathlib import Path

import pytest

from nexus.domain.core.errors import InvalidInput
from nexus.settings import parse_environment
from nexus.start import check_server_can_start, find_data_dir_fault, find_setting_faults, find_setting_warnings

SHORT, LONG = "fifteen-letters", "sixteen-letters!"


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "::", "nexus.example"])
def test_a_short_token_is_refused_where_others_can_reach_the_server(host: str):
    assert len(find_setting_faults(parse_environment({"NEXUS_HOST": host, "NEXUS_AUTH__TOKEN": SHORT}))) == 1
    assert find_setting_faults(parse_environment({"NEXUS_HOST": host, "NEXUS_AUTH__TOKEN": LONG})) == []
    assert find_setting_warnings(parse_environment({"NEXUS_HOST": host, "NEXUS_AUTH__TOKEN": LONG})) == []


def test_a_worker_needs_a_token_where_others_can_reach_its_metrics():
    def find_token_faults(**environ: str) -> list[str]:
        found = find_setting_faults(parse_environment({"NEXUS_HOST": "0.0.0.0", "NEXUS_ROLE": "worker", **environ}))
        return [fault for fault in found if "NEXUS_AUTH__TOKEN" in fault]

    assert find_token_faults() == []
    assert len(find_token_faults(NEXUS_METRICS__PORT="9100")) == 1
    assert find_token_faults(NEXUS_METRICS__PORT="9100", NEXUS_AUTH__TOKEN=LONG) == []


def test_tracing_without_what_it_needs_is_refused_with_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    settings = parse_environment({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"})
    assert find_setting_faults(settings) == []
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    for module in [name for name in sys.modules if name.startswith("opentelemetry.")]:
        monkeypatch.delitem(sys.modules, module)
    [fault] = find_setting_faults(settings)
    assert "nexus[otel]" in fault
    assert find_setting_faults(parse_environment({})) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_a_short_token_is_a_warning_on_this_machine(host: str):
    short = parse_environment({"NEXUS_HOST": host, "NEXUS_AUTH__TOKEN": SHORT})
    assert find_setting_faults(short) == []
    [warning] = find_setting_warnings(short)
    assert ("NEXUS_AUTH__TOKEN" in warning, SHORT in warning) == (True, False)
    assert find_setting_warnings(parse_environment({"NEXUS_HOST": host, "NEXUS_AUTH__TOKEN": LONG})) == []
    assert find_setting_warnings(parse_environment({"NEXUS_HOST": host})) == []


def test_a_directory_that_is_none_is_explained_and_none_is_made(tmp_path: Path):
    new = tmp_path / "a" / "b"
    assert (find_data_dir_fault(new), find_data_dir_fault(tmp_path), new.parent.exists()) == ("", "", False)
    (tmp_path / "README.md").write_text("")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    (tmp_path / "found").symlink_to(tmp_path)
    assert find_data_dir_fault(tmp_path / "README.md").endswith("README.md is a file, not a directory")
    assert find_data_dir_fault(tmp_path / "README.md" / "data").endswith("README.md, which is a file")
    assert find_data_dir_fault(tmp_path / "lost").endswith("is a link that leads nowhere")
    assert find_data_dir_fault(tmp_path / "found") == ""
    assert "cannot be reached" in find_data_dir_fault(tmp_path / ("x" * 300))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_this_user_may_not_write_is_explained(tmp_path: Path):
    tmp_path.chmod(0o500)
    assert "cannot be written" in find_data_dir_fault(tmp_path)
    assert "may not write in" in find_data_dir_fault(tmp_path / "data")
    tmp_path.chmod(0o700)


def test_all_that_stands_against_a_start_is_told_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "README.md").write_text("")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InvalidInput) as refusal:
        check_server_can_start(
            parse_environment({"NEXUS_HOST": "0.0.0.0", "NEXUS_DATA_DIR": str(tmp_path / "README.md")})
        )
    assert all(part in refusal.value.detail for part in ("NEXUS_AUTH__TOKEN", "no git", "is a file", "--data-dir"))


@pytest.mark.parametrize("aws", [{"NEXUS_TABLES__BACKEND": "dynamodb"}, {"NEXUS_QUEUE__BACKEND": "sqs"}])
def test_what_is_in_aws_is_refused_without_what_reaches_it(aws: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    assert find_setting_faults(parse_environment(aws)) == []
    monkeypatch.setitem(sys.modules, "aioboto3", None)
    [fault] = find_setting_faults(parse_environment(aws))
    assert "nexus[aws]" in fault
    assert find_setting_faults(parse_environment({})) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "nexus.example", "127.0.0.1.example"])
def test_other_addresses_need_a_token(host: str) -> None:
    (problem,) = find_setting_faults(parse_environment({"NEXUS_HOST": host}))
    assert "NEXUS_AUTH__TOKEN" in problem
    assert find_setting_faults(parse_environment({"NEXUS_HOST": host, "NEXUS_AUTH__TOKEN": LONG})) == []


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    assert find_setting_faults(parse_environment({"NEXUS_HOST": host})) == []


SHARED = {
    "NEXUS_TABLES__BACKEND": "dynamodb",
    "NEXUS_EVENTS__BACKEND": "redis",
    "NEXUS_QUEUE__BACKEND": "arq",
    "NEXUS_SECRET": "the same for all",
}


@pytest.mark.parametrize("role", ["api", "worker"])
@pytest.mark.parametrize("lacking", SHARED)
def test_a_role_that_shares_its_work_is_refused_without_what_is_shared(role: str, lacking: str) -> None:
    given = {name: value for name, value in SHARED.items() if name != lacking}
    environ = {"NEXUS_ROLE": role, "NEXUS_REDIS__URL": "redis://localhost", **given}
    (problem,) = find_setting_faults(parse_environment(environ))
    assert f"NEXUS_ROLE={role} shares its work with other processes and needs {lacking}" in problem
    assert find_setting_faults(parse_environment(environ | SHARED)) == []


@pytest.mark.parametrize("role", ["api", "worker"])
def test_a_role_that_shares_its_work_may_send_it_through_sqs_and_needs_redis_for_events_alone(role: str) -> None:
    environ = {**SHARED, "NEXUS_QUEUE__BACKEND": "sqs", "NEXUS_ROLE": role}
    assert find_setting_faults(parse_environment(environ | {"NEXUS_REDIS__URL": "redis://localhost"})) == []
    (problem,) = find_setting_faults(parse_environment(environ))
    assert "NEXUS_REDIS__URL" in problem
    assert not parse_environment({"NEXUS_QUEUE__BACKEND": "sqs"}).uses_redis


@pytest.mark.parametrize("name", ["NEXUS_EVENTS__BACKEND", "NEXUS_QUEUE__BACKEND"])
def test_redis_needs_an_address(name: str) -> None:
    (problem,) = find_setting_faults(parse_environment({name: SHARED[name]}))
    assert "NEXUS_REDIS__URL" in problem


def test_openai_itself_needs_a_key_and_others_do_not() -> None:
    (problem,) = find_setting_faults(parse_environment({"NEXUS_MODEL__PROVIDER": "openai"}))
    assert "NEXUS_MODEL__API_KEY" in problem
    assert find_setting_faults(parse_environment({"NEXUS_MODEL__BASE_URL": "http://localhost:11434/v1"})) == []


@pytest.mark.parametrize("text", ["proxy", "10.0.0.0/33", "127.0.0.1,x"])
def test_proxies_that_are_no_addresses_are_refused(text: str) -> None:
    assert "NEXUS_TRUSTED_PROXIES" in find_setting_faults(parse_environment({"NEXUS_TRUSTED_PROXIES": text}))[0]
    assert find_setting_faults(parse_environment({"NEXUS_TRUSTED_PROXIES": "10.0.0.7, 192.168.0.0/16, ::1"})) == []
