"""Commands that start and stop the server."""

from __future__ import annotations

import argparse
import os
import select
import signal
import sys

from mox.cli.command import Command, Globals, no_arguments
from mox.errors import UserError

# Longer than the server lets its workers finish.
_STOP_WAIT_S = 60.0


def _serve(args: argparse.Namespace) -> int:
    from mox.supervisor import start
    from mox.supervisor.load import Options

    given: Globals = args.globals
    options = Options(given.config, given.loglevel, given.pedantic)
    return start.check(options) if args.check else start.serve(options)


def _configure_serve(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-check",
        action="store_true",
        help="only see whether the server would start: configuration, certificates, program",
    )


def _stop(args: argparse.Namespace) -> int:
    from mox.config import read_data_dir
    from mox.supervisor import pidfile

    given: Globals = args.globals
    path = pidfile.pid_path(read_data_dir(given.config))
    pid = pidfile.running(path)
    if pid is None:
        raise UserError(f"no server is running: nobody has {path} locked")
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGTERM)
        if not select.select([handle], [], [], _STOP_WAIT_S)[0]:
            print(f"process {pid} did not end within {_STOP_WAIT_S:.0f} s", file=sys.stderr)
            return 1
    finally:
        os.close(handle)
    return 0


COMMANDS = [
    Command(
        ("serve",),
        "Run the mail server, in the foreground. To be started as root, which is given up once "
        "the ports are open. SIGTERM and SIGINT stop it when connections have finished what they "
        "do; SIGHUP takes over a changed configuration; SIGUSR2 an upgraded program.",
        _configure_serve,
        _serve,
    ),
    Command(
        ("stop",),
        "Stop the running server and wait until connections have finished what they do.",
        no_arguments,
        _stop,
    ),
]
