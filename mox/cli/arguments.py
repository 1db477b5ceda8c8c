"""The command line's form: global options, the command's words, its flags, its arguments.

    mox [-config file] [-loglevel level] [-pedantic] command words [flags] [args]

Flags begin with one dash (two are fine), and take their value as `-flag value` or `-flag=value`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mox.cli.command import Command, Globals
from mox.errors import UserError
from mox.logfmt import LEVELS

USAGE = "usage: mox [-config file] [-loglevel level] [-pedantic] command [flags] [arguments]"
CONFIG_VARIABLE = "MOXCONF"
DEFAULT_CONFIG = "config/mox.conf"


class UsageError(UserError):
    """A command line that cannot be understood; the text is the usage."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.format_usage()}{self.prog}: {message}")


def parse_globals(words: Sequence[str]) -> tuple[Globals, list[str]]:
    """Take the options before the command; returns them and the rest."""
    rest = list(words)
    config = os.environ.get(CONFIG_VARIABLE) or DEFAULT_CONFIG
    loglevel: str | None = None
    pedantic = False
    while rest and rest[0].startswith("-"):
        name, _, value = rest.pop(0).lstrip("-").partition("=")
        if name == "pedantic" and not value:
            pedantic = True
            continue
        if name in ("h", "help"):
            rest = ["help", *rest]
            break
        if name not in ("config", "loglevel"):
            raise UsageError(f"{USAGE}\nmox: unknown option -{name}")
        if not value:
            if not rest:
                raise UsageError(f"{USAGE}\nmox: option -{name} needs a value")
            value = rest.pop(0)
        if name == "config":
            config = value
        elif value not in LEVELS:
            raise UsageError(f"{USAGE}\nmox: unknown level {value!r}, one of {', '.join(LEVELS)}")
        else:
            loglevel = value
    return Globals(Path(config).absolute(), loglevel, pedantic), rest


def find(commands: Sequence[Command], words: Sequence[str]) -> tuple[Command, list[str]]:
    """The command that the words begin with, and the words after its own.

    Raises UsageError with a list of those that may have been meant.
    """
    for command in sorted(commands, key=lambda command: -len(command.words)):
        count = len(command.words)
        if tuple(words[:count]) == command.words:
            return command, list(words[count:])
    below = _below(commands, words)
    if below:
        raise UsageError("\n".join(usage(command) for command in below))
    unknown = f"\nmox: unknown command {words[0]!r}" if words else ""
    lines = [f"  {short(command)}" for command in commands]
    raise UsageError("\n".join([USAGE, "", "commands:", *lines]) + unknown)


def _below(commands: Sequence[Command], words: Sequence[str]) -> list[Command]:
    """The commands that share the most first words with these, at least one."""
    for count in range(len(words), 0, -1):
        start = tuple(words[:count])
        if below := [command for command in commands if command.words[:count] == start]:
            return below
    return []


def parse(command: Command, words: Sequence[str]) -> argparse.Namespace:
    """The values of a command's flags and arguments. Raises UsageError."""
    if command.takes_words:
        return argparse.Namespace(words=list(words))
    parser = parser_of(command)
    given = [word[1:] if _is_long_flag(word) else word for word in words]
    known = {flag for action in parser._actions for flag in action.option_strings}
    for word in given:
        name = word.partition("=")[0]
        # argparse takes the beginning of a flag with one dash for the flag, whatever it is told.
        if any(flag.startswith(name) for flag in known) and name not in {*known, "-", ""}:
            parser.error(f"unknown flag {name}")
    return parser.parse_args(given)


def parser_of(command: Command) -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"mox {' '.join(command.words)}",
        description=command.help,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("-h", "-help", action="help", help=argparse.SUPPRESS)
    command.configure(parser)
    return parser


def usage(command: Command) -> str:
    """`usage: mox queue list [-n max]`, on one line."""
    return " ".join(parser_of(command).format_usage().replace("[-h] ", "").split())


def short(command: Command) -> str:
    """A command's line in a list: words, flags and arguments."""
    return usage(command).removeprefix("usage: ")


def _is_long_flag(word: str) -> bool:
    return word.startswith("--") and len(word) > 2
