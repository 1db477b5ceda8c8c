"""Prometheus metrics, summed over all processes of the server.

    _commands = metrics.histogram("mox_imap_command_duration_seconds", "…", ("cmd", "result"))
    _commands.labels("fetch", "ok").observe(0.002)

Metrics are declared at module level, next to the code that counts. The supervisor sets
PROMETHEUS_MULTIPROC_DIR before anything imports this module; each process then writes files
there, and `exposition` adds them up. Without it the values of this process alone are shown.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from typing import Final, Literal

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from mox.metricvalues import SharedValue

GaugeMode = Literal["all", "liveall", "min", "livemin", "max", "livemax", "sum", "livesum"]

# Bucket limits in seconds, for the kinds of work that are timed.
SERVER_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 60, 120)
LOOKUP_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30)
VERIFY_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20)
DELIVERY_BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 60, 120)
CLIENT_BUCKETS: Final = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30)

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
DIRECTORY_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"

if DIRECTORY_VARIABLE in os.environ:
    values.ValueClass = SharedValue


# Files that a process writes in multiprocess mode, by the kinds of metrics declared, and what is
# set aside for each.
_FILES: dict[str, int] = {}
_IN_MEMORY = "/dev/shm"  # noqa: S108 - mkdtemp makes a directory of our own there
_SMALL_FILE = 256 << 10
_HISTOGRAM_FILE = 512 << 10


def counter(name: str, help: str, labels: tuple[str, ...] = ()) -> Counter:
    """A value that only grows; dead processes keep counting in the sum."""
    _declare("counter", _SMALL_FILE)
    return Counter(name, help, labels)


def gauge(name: str, help: str, labels: tuple[str, ...] = (), mode: GaugeMode = "livesum") -> Gauge:
    """A value that goes up and down; `mode` says how processes are combined."""
    _declare(f"gauge_{mode}", _SMALL_FILE)
    return Gauge(name, help, labels, multiprocess_mode=mode)


def histogram(
    name: str,
    help: str,
    labels: tuple[str, ...] = (),
    buckets: tuple[float, ...] = SERVER_BUCKETS,
) -> Histogram:
    """Counts of observations, here always seconds, below each of `buckets`."""
    _declare("histogram", _HISTOGRAM_FILE)
    return Histogram(name, help, labels, buckets=buckets)


def _declare(prefix: str, size: int) -> None:
    """Note a kind of metrics, and set its file aside: to declare a metric is to write to it."""
    if prefix in _FILES:
        return
    _FILES[prefix] = size
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if directory is not None:
        try:
            _reserve(directory, prefix, size)
        except OSError:
            _count_in_memory()


def _count_in_memory() -> None:
    os.environ[DIRECTORY_VARIABLE] = own = tempfile.mkdtemp(prefix="mox-", dir=_IN_MEMORY)
    atexit.register(shutil.rmtree, own, ignore_errors=True)


def _reserve(directory: str, prefix: str, size: int) -> None:
    path = os.path.join(directory, f"{prefix}_{os.getpid()}.db")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        os.posix_fallocate(fd, 0, size)
    finally:
        os.close(fd)


PANICS: Final = counter(
    "mox_panic_total", "Exceptions that nothing expected, by package.", ("pkg",)
)
_LINES: Final = {
    level: counter(f"mox_logging_level_{level}_total", f"Log lines of level {level}.")
    for level in ("info", "warn", "error")
}


def count_log_line(level: str) -> None:
    """Count a log line that was written; see `logfmt.count_lines`."""
    lines = _LINES.get(level)
    if lines is not None:
        lines.inc()


def exposition() -> bytes:
    """All metrics in Prometheus' text format; reads every process's files."""
    return generate_latest(_all_processes())


def total(name: str) -> float:
    """Return a counter's sum over all processes and labels; reads every process's files."""
    return sum(
        sample.value
        for metric in _all_processes().collect()
        for sample in metric.samples
        if sample.name == name
    )


def _all_processes() -> CollectorRegistry:
    if DIRECTORY_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]  # theirs has no types
    return registry


def process_started() -> None:
    """Set aside this process's files; called first in each new process.

    They are memory maps: without space on the disk for what is written later, the kernel would
    kill the process. Raises OSError when there is none now; then the process counts for itself
    alone, in files in memory: a full disk must not keep it from serving.
    """
    directory = os.environ.get(DIRECTORY_VARIABLE)
    if directory is None:
        return
    try:
        _set_aside(directory)
    except OSError:
        _count_in_memory()
        raise


def _set_aside(directory: str) -> None:
    for prefix, size in _FILES.items():
        _reserve(directory, prefix, size)


def process_ended(pid: int) -> None:
    """Forget the live gauges of a process; its counters stay in the sums."""
    if DIRECTORY_VARIABLE in os.environ:
        mark_process_dead(pid)  # type: ignore[no-untyped-call]  # theirs has no types
