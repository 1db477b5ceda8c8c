from __future__ import annotations

import pytest

from mox.queue.webhook import metrics


@pytest.mark.parametrize(
    ("status", "label"),
    [(0, "error"), (200, "200"), (418, "418"), (299, "2xx"), (599, "5xx"), (103, "103")],
)
def test_results_are_counted_by_what_they_mean(status: int, label: str) -> None:
    counter = metrics._RESULTS.labels(label)
    before = counter._value.get()
    metrics.count(status)
    assert counter._value.get() == before + 1
