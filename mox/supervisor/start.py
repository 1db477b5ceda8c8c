"""Starting the server: everything between the command line and the supervisor's loop."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import gevent
from setproctitle import setproctitle

from mox import logfmt
from mox.supervisor import datadir, handover
from mox.supervisor.aside import run_aside
from mox.supervisor.load import Options, load
from mox.supervisor.malloc import give_memory_back
from mox.supervisor.privileges import become, raise_file_limit
from mox.supervisor.settings import Settings

# prometheus_client reads it when it is imported, which is why some imports below are late.
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"


def check(options: Options) -> int:
    """Say by the exit status whether a server would start, as far as can be seen without ports."""
    settings = load(options)
    logfmt.configure(settings.log_level, settings.package_log_levels)
    _load_code()
    _check_index(settings)
    return 0


def serve(options: Options) -> int:
    """Run the server until it is told to stop; returns the exit status.

    Raises MoxError when it cannot start.
    """
    inherited = handover.receive()
    setproctitle("mox: supervisor")
    os.umask(os.umask(0) | 0o007)
    logfmt.configure(options.loglevel or "info")
    settings = load(options)
    logfmt.configure(settings.log_level, settings.package_log_levels)
    datadir.prepare(settings.data_dir, settings.identity)
    if inherited is None:
        _fix_permissions(settings, options.config.parent)
    os.environ[_METRICS_VARIABLE] = os.fspath(datadir.metrics_dir(settings.data_dir))
    raise_file_limit()
    give_memory_back()
    _load_code()
    if inherited is None:
        _check_index(settings)
        _restore_files(settings)

    from mox.supervisor.arbiter import Supervisor
    from mox.supervisor.kinds import KINDS

    supervisor = Supervisor(
        partial(load, options),
        settings,
        kinds=KINDS,
        command=command_line(),
        inherited=inherited,
    )
    # Not those of workers that are still there; but always our own, which only root could read.
    pattern = "*" if inherited is None else f"*_{os.getpid()}"
    datadir.forget_metrics(settings.data_dir, pattern)
    return supervisor.run()


def _check_index(settings: Settings) -> None:
    """Better no server than workers that all end at once: those who connect would wait."""
    from mox.store.env import check_format

    run_aside(partial(check_format, settings.data_dir / "index"))


def _restore_files(settings: Settings) -> None:
    """Write files again that a crash of the machine took, before workers look at mailboxes."""
    from mox.store import open_store
    from mox.store.settling import restore

    def work() -> None:
        become(settings.identity)
        gevent.reinit()
        store = open_store(settings.data_dir)
        restore(store)
        store.close()

    if (settings.data_dir / "index" / "data.mdb").exists():
        run_aside(work)


def command_line() -> Sequence[str]:
    """The words that start this program again."""
    return [sys.executable, *sys.orig_argv[1:]]


def _fix_permissions(settings: Settings, config_dir: Path) -> None:
    identity = settings.identity
    if identity is None or not settings.fix_permissions:
        return
    for directory in (config_dir.resolve(), settings.data_dir):
        datadir.fix_permissions(directory, identity)
        datadir.open_way(directory, identity)


def _load_code() -> None:
    from mox.supervisor.kinds import KINDS
    from mox.supervisor.preload import preload

    for kind in KINDS:
        kind.resolve()
    preload()
