"""The command line's form: global options, the command's words, its flags, its arguments.

    mox [-config file] [-loglevel level] [-pedantic] command words [flags] [args]

Flags begin with one dash (two are fine), and take their value as `-flag value` or `-flag=value`.
"""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
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
    flags = {flag: action for action in parser._actions for flag in action.option_strings}
    marked, operands = _sorted_out(words, flags, command.dashed)
    for word in marked:
        name = word.partition("=")[0]
        # argparse takes the beginning of a flag with one dash for the flag, whatever it is told.
        if name not in flags:
            parser.error(f"unknown flag {name}")
    return parser.parse_args([*marked, "--", *operands] if operands else marked)


def _sorted_out(
    words: Sequence[str],
    flags: Mapping[str, argparse.Action],
    dashed: re.Pattern[str] | None,
) -> tuple[list[str], list[str]]:
    """What begins like a flag, as `-flag` or `-flag=value`, and what does not.

    A value, or an argument of the form that the command expects, may begin with a dash.
    """
    marked: list[str] = []
    operands: list[str] = []
    rest = iter(words)
    for given in rest:
        long = given.startswith("--") and given[1:].partition("=")[0] in flags
        word = given[1:] if long else given
        if word == "--":
            operands += rest
        elif word in flags and flags[word].nargs is None:
            value = next(rest, None)
            marked.append(word if value is None else f"{word}={value}")
        elif word.startswith("-") and word != "-" and not (dashed and dashed.fullmatch(word)):
            marked.append(word)
        else:
            operands.append(word)
    return marked, operands


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
