"""What is counted, and what docs/metrics.md says of it, is one list."""

import re
from pathlib import Path

from prometheus_client import Gauge
from prometheus_client.parser import text_string_to_metric_families

from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.adapters.prometheus.series import Counts, Durations

PAGE = Path(__file__).parents[2] / "docs/metrics.md"


def list_rows() -> list[str]:
    metrics = ProcessMetrics("1.2.3")
    kinds = (Counts, Durations, Gauge)
    series = [one for one in metrics._registry._collector_to_names if isinstance(one, kinds)]
    labels = [one._labelnames if isinstance(one, Gauge) else one.labels for one in series]
    families = text_string_to_metric_families(metrics.make_page("").content.decode())
    ours = [family for family in families if family.name.startswith("nexus_")]
    rows = []
    for family, names in zip(ours, labels, strict=True):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        shown = ", ".join(f"`{label}`" for label in names) or "–"
        rows.append(f"| `{name}` | {family.type} | {shown} | {family.documentation} |")
    return rows


def test_the_table_in_the_docs_is_exactly_what_is_counted() -> None:
    expected = list_rows()
    found = re.findall(r"^\| `nexus_.*$", PAGE.read_text(), re.MULTILINE)
    assert found == expected, "docs/metrics.md should have these rows:\n" + "\n".join(expected)
