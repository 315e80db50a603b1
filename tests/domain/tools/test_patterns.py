import pytest

from nexus.domain.tools.library.patterns import extract_entities, extract_pattern, parse_log_lines
from nexus.domain.tools.model import ToolError

TEXT = (
    "写信给bob@example.com或alice.b+z@mail.co.uk。见https://a.io/x(1)?q=2)。 192.168.1.300 10.0.0.1 2026-02-30 2026年2月3日 14:30 "
    "电话13800138000, (555) 123-4567 550e8400-e29b-41d4-a716-446655440000 ERROR 共3个 cost 1,234.50 -5 12%"
)
FOUND = {
    "email": ["bob@example.com", "alice.b+z@mail.co.uk"],
    "url": ["https://a.io/x(1)?q=2"],
    "ipv4": ["10.0.0.1"],
    "date": ["2026年2月3日"],
    "time": ["14:30"],
    "phone": ["13800138000", "(555) 123-4567"],
    "uuid": ["550e8400-e29b-41d4-a716-446655440000"],
    "log_level": ["ERROR"],
}
LOG = """2026-11-20 10:00:00,123 INFO app: started
2026-11-20 10:00:01 ERROR db: 连接失败
Traceback (most recent call last):
  File x
ValueError: bad
{"time": "t", "level": "warn", "msg": "slow"}
[FATAL] gone"""


@pytest.mark.parametrize(("kind", "values"), FOUND.items())
def test_entities_are_found_next_to_chinese_too(kind: str, values: list[str]) -> None:
    assert [match["value"] for match in extract_entities(TEXT, kind)["matches"]] == values  # type: ignore[arg-type]  # a table


def test_numbers_are_found_as_they_are_written() -> None:
    assert {"3", "1,234.50", "-5", "12%"} <= {match["value"] for match in extract_entities(TEXT, "number")["matches"]}


def test_patterns_give_their_group() -> None:
    found = extract_pattern("a1 b22 c333", r"([a-z])(\d+)", 2)
    assert [match["match"] for match in found["matches"]] == ["1", "22", "333"]
    assert extract_pattern("中文abc", r"[一-龥]+")["matches"][0]["match"] == "中文"
    assert extract_pattern("{name} {id}", r"\{(\w+)\}", 1)["count"] == 2


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "",
        "x" * 501,
        "(?:a{9999}){9999}",
        "(((a{1,1000}){1,1000}){1,1000})b",
        "(?R)?a",
        "(?:abc){e<=3}",
        "(a)(?1)",
        "a" + "{100}" * 3,
    ],
)
def test_patterns_that_cannot_be_bounded_are_refused(pattern: str) -> None:
    with pytest.raises(ToolError):
        extract_pattern("aaa", pattern)


def test_a_pattern_that_takes_for_ever_is_stopped() -> None:
    with pytest.raises(ToolError, match="too long"):
        extract_pattern("a" * 5000 + "!", r"(a+)+$")


def test_log_lines_are_read_with_what_belongs_to_them() -> None:
    found = parse_log_lines(LOG, "warning")
    assert [(entry["level"], entry["message"]) for entry in found["entries"]] == [
        ("ERROR", "db: 连接失败"),
        ("WARNING", "slow"),
        ("CRITICAL", "gone"),
    ]
    assert found["entries"][0]["line"].endswith("ValueError: bad")
    assert found["levels"] == {"INFO": 1, "ERROR": 1, "WARNING": 1, "CRITICAL": 1}
    assert parse_log_lines(LOG, contains="连接")["matching"] == 1
    with pytest.raises(ToolError):
        parse_log_lines(LOG, "loud")
