"""Metrics of one process and of several."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mox import metrics

_PROGRAM = """
import os, sys
from mox import metrics
counter = metrics.counter("mox_test_total", "Test.", ("kind",))
gauge = metrics.gauge("mox_test_open", "Test.")
took = metrics.histogram("mox_test_seconds", "Test.")
for _ in range(2):
    if os.fork() == 0:
        counter.labels("a").inc(3)
        counter.labels("b").inc(0.5)
        gauge.set(5)
        took.observe(0.02)
        os._exit(0)
pids = [os.wait()[0] for _ in range(2)]
metrics.process_ended(pids[0])
sys.stdout.buffer.write(metrics.exposition())
print("total", metrics.total("mox_test_total"))
"""


def test_counters_of_ended_processes_stay_and_gauges_go(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**os.environ, metrics.DIRECTORY_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = result.stdout.splitlines()
    assert 'mox_test_total{kind="a"} 6.0' in lines
    assert "mox_test_open 5.0" in lines
    assert 'mox_test_seconds_bucket{le="0.05"} 2.0' in lines
    assert 'mox_test_seconds_bucket{le="0.01"} 0.0' in lines
    assert "total 7.0" in lines


_THREADS = """
import os, sys, threading
from mox import metrics
sys.setswitchinterval(1e-6)
counter = metrics.counter("mox_test_total", "Test.", ("kind",))
first = counter.labels("first")
def count():
    for number in range(3000):
        first.inc()
        counter.labels(f"{number} {'x' * 50}").inc(2)
threads = [threading.Thread(target=count) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
before = first._value.get()
if os.fork() == 0:
    first.inc(5)
    os._exit(0 if first._value.get() == 5 else 1)
_, status = os.wait()
first.inc()
print(before, status, first._value.get(), metrics.total("mox_test_total"))
"""


def test_no_count_of_threads_and_forks_is_lost_while_the_file_grows(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-c", _THREADS],
        env={**os.environ, metrics.DIRECTORY_VARIABLE: str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.split() == ["12000.0", "0", "12001.0", str(12006.0 + 24000.0)]


def test_a_single_process_shows_its_own() -> None:
    before = metrics.exposition()
    metrics.count_log_line("warn")
    metrics.count_log_line("trace")
    after = metrics.exposition()
    assert b"mox_logging_level_warn_total" in after
    assert before != after


def test_a_process_without_its_directory_counts_for_itself(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(metrics.DIRECTORY_VARIABLE, str(tmp_path / "missing"))
    with pytest.raises(OSError):
        metrics.process_started()
    own = Path(os.environ[metrics.DIRECTORY_VARIABLE])
    assert own.is_dir()
    shutil.rmtree(own)
