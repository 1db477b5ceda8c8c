"""The `mox` program: finds the command, parses its flags, turns errors into exit statuses."""

# Before anything else is imported: what is imported earlier keeps the blocking originals.
# ruff: noqa: E402
from gevent import monkey

monkey.patch_all()

import importlib
import os
import sys
from collections.abc import Sequence

from mox import logfmt
from mox.cli import arguments
from mox.cli.command import Command
from mox.errors import MoxError

MODULES = (
    "mox.cli.server",
    "mox.cli.localserve",
    "mox.cli.account",
    "mox.cli.tlskey",
    "mox.cli.queue",
    "mox.cli.queueholds",
    "mox.cli.queueretired",
    "mox.cli.queuesuppress",
    "mox.cli.queuewebhook",
    "mox.cli.sendmail",
    "mox.cli.webapi",
    "mox.cli.junk",
    "mox.cli.config",
    "mox.cli.dns",
    "mox.cli.spf",
    "mox.cli.dkim",
    "mox.cli.dmarc",
    "mox.cli.dnsbl",
    "mox.cli.dane",
    "mox.cli.mtasts",
    "mox.cli.tlsrpt",
    "mox.cli.general",
)


def load_commands() -> list[Command]:
    """All commands, in the order in which they are listed."""
    commands: list[Command] = []
    for name in MODULES:
        commands += importlib.import_module(name).COMMANDS
    return commands


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line; returns the exit status: 0 done, 1 failed, 2 wrong usage."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None and os.path.basename(sys.argv[0]) == "sendmail":
        words = ["sendmail", *words]
    commands = load_commands()
    try:
        given, rest = arguments.parse_globals(words)
        command, rest = arguments.find(commands, rest)
        args = arguments.parse(command, rest)
    except arguments.UsageError as exc:
        print(exc, file=sys.stderr)
        return 2
    args.globals = given
    args.commands = commands
    logfmt.configure(given.loglevel or "info", human=True)
    try:
        return command.run(args)
    except MoxError as exc:
        print(exc, file=sys.stderr)
    except OSError as exc:
        print(f"mox {' '.join(command.words)}: {exc}", file=sys.stderr)
    except KeyboardInterrupt:
        return 130
    return 1
