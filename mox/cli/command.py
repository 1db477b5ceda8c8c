"""What a command of the `mox` program is: the modules of this package list theirs."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FINGERPRINT = re.compile(r"-[A-Za-z0-9_-]{42}")  # SHA-256 in base64url
ADDRESS = re.compile(r"-[^=]*@.+")
DURATION = re.compile(r"-[0-9.].*")


@dataclass(frozen=True, slots=True)
class Globals:
    """The options before the command's words."""

    config: Path
    loglevel: str | None
    pedantic: bool


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `words` name it (`("queue", "list")`), `help` explains it in a sentence or more.

    `configure` adds flags and arguments (`-name`, single dash) to the parser; `run` gets the
    parsed values, with `args.globals` of type `Globals`, and returns the exit status. A
    `mox.errors.MoxError` that leaves `run` is printed to standard error, exit status 1.

    `dashed` says which words are arguments though they begin with a dash and are no flag, such as
    FINGERPRINT, ADDRESS or DURATION.
    """

    words: tuple[str, ...]
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    takes_words: bool = False  # `run` gets `args.words` as they are, not parsed
    dashed: re.Pattern[str] | None = None


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """`configure` of a command without flags and arguments."""
