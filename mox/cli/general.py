"""Commands about the program itself."""

from __future__ import annotations

import argparse
import platform
import sys
from collections.abc import Sequence

from mox import __version__
from mox.cli import arguments
from mox.cli.command import Command, no_arguments


def _version(args: argparse.Namespace) -> int:
    print(__version__)
    print(f"{platform.system().lower()}/{platform.machine()} python {platform.python_version()}")
    return 0


def _help(args: argparse.Namespace) -> int:
    words = tuple(args.words)
    commands: Sequence[Command] = args.commands
    found = [command for command in commands if command.words[: len(words)] == words]
    exact = [command for command in found if command.words == words]
    if exact or len(found) == 1:
        print(arguments.parser_of((exact or found)[0]).format_help().replace("[-h] ", ""), end="")
        return 0
    if not found:
        print(f"mox: unknown command {' '.join(words)!r}", file=sys.stderr)
        return 2
    if not words:
        print(arguments.USAGE, end="\n\n")
    for command in found:
        print(arguments.short(command))
    return 0


def _configure_help(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("words", nargs="*", help="of a command, or how commands begin")


COMMANDS = [
    Command(("version",), "Print the version, then the system it runs on.", no_arguments, _version),
    Command(("help",), "Explain a command, or list those that begin so.", _configure_help, _help),
]
