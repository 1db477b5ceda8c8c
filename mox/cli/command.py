"""What a command of the `mox` program is: the modules of this package list theirs."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


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
    """

    words: tuple[str, ...]
    help: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    takes_words: bool = False  # `run` gets `args.words` as they are, not parsed


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """`configure` of a command without flags and arguments."""
