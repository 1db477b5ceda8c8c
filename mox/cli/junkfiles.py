"""Directories of messages and files of word counts, for the commands about junk."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mox.errors import UserError

if TYPE_CHECKING:
    from mox.junk.memory import MemoryFilter
    from mox.junk.params import Params
    from mox.junk.tokens import Tokens

# What is read of a message; the filter looks at no more.
_READ_OCTETS = 2 << 20
_DEFAULT_FILE = "junkfilter.words"


class WordFile(msgspec.Struct, frozen=True):
    """A file of word counts. words: token → (ham, spam)."""

    onegrams: bool
    twograms: bool
    threegrams: bool
    ham: int
    spam: int
    words: dict[str, tuple[int, int]]


@dataclass(slots=True)
class Score:
    """How often a filter was right about one kind of messages."""

    right: int = 0
    total: int = 0

    def add(self, is_right: bool) -> None:
        self.right += is_right
        self.total += 1

    def __str__(self) -> str:
        share = 100 * self.right / self.total if self.total else 0.0
        return f"{self.right} of {self.total} right ({share:.1f} %)"


def add_parameters(parser: argparse.ArgumentParser) -> None:
    """Flags for how messages are read and words weighed; the defaults are those of accounts."""
    parser.add_argument("-onegrams", choices=("yes", "no"), default="yes", help="single words")
    parser.add_argument("-twograms", choices=("yes", "no"), default="no", help="pairs of words")
    parser.add_argument("-threegrams", choices=("yes", "no"), default="no", help="triples")
    parser.add_argument("-maxpower", type=float, default=0.01, help="how sure one word can be")
    parser.add_argument("-topwords", type=int, default=10, help="how many words decide")
    parser.add_argument(
        "-ignorewords", type=float, default=0.1, help="words nearer to 0.5 say nothing"
    )
    parser.add_argument("-rarewords", type=int, default=2, help="words seen so often count less")


def add_threshold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-threshold", type=float, default=0.95, help="above it, a message is junk")


def add_file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-dbpath", default=_DEFAULT_FILE, help="file with the word counts")


def parameters(args: argparse.Namespace) -> Params:
    """The parameters of the flags. Raises UserError."""
    from mox.junk.params import Params

    if not 0 < args.maxpower <= 0.5 or not 0 <= args.ignorewords <= 0.5:
        raise UserError("-maxpower must be above 0, -ignorewords not below, both at most 0.5")
    if args.topwords < 0 or args.rarewords < 0:
        raise UserError("-topwords and -rarewords must not be negative")
    return Params(
        onegrams=args.onegrams == "yes",
        twograms=args.twograms == "yes",
        threegrams=args.threegrams == "yes",
        max_power=args.maxpower,
        top_words=args.topwords,
        ignore_words=args.ignorewords,
        rare_words=args.rarewords,
    )


def save(path: str, trained: MemoryFilter) -> None:
    """Write the counts of a filter; the file is there whole or as before."""
    params = trained.params
    words = {word: (counts.ham, counts.spam) for word, counts in trained.counts.items()}
    record = WordFile(
        params.onegrams, params.twograms, params.threegrams, trained.ham, trained.spam, words
    )
    temporary = f"{path}.new"
    Path(temporary).write_bytes(msgspec.msgpack.encode(record))
    os.replace(temporary, path)


def read_filter(args: argparse.Namespace) -> MemoryFilter:
    """The filter in the file that -dbpath names, with the weights of the flags."""
    from mox.junk.classifier import Counts
    from mox.junk.memory import MemoryFilter

    params = parameters(args)
    try:
        record = msgspec.msgpack.decode(Path(args.dbpath).read_bytes(), type=WordFile)
    except FileNotFoundError as e:
        raise UserError(f"{args.dbpath} is not there: make it with `mox junk train`") from e
    except msgspec.DecodeError as e:
        raise UserError(f"{args.dbpath} is not a file of word counts: {e}") from e
    grams = (record.onegrams, record.twograms, record.threegrams)
    if grams != (params.onegrams, params.twograms, params.threegrams):
        raise UserError(f"{args.dbpath} was trained with other -onegrams, -twograms, -threegrams")
    counts = {word: Counts(*pair) for word, pair in record.words.items()}
    return MemoryFilter(params, record.ham, record.spam, counts)


def files(directory: str) -> list[Path]:
    """The messages of a directory, or of new/ and cur/ of a Maildir, sorted by name."""
    root = Path(directory)
    if not root.is_dir():
        raise UserError(f"{directory} is not a directory")
    parts = [root / sub for sub in ("new", "cur") if (root / sub).is_dir()] or [root]
    found = (path for part in parts for path in part.iterdir())
    return sorted(path for path in found if path.is_file() and not path.name.startswith("."))


def read_tokens(path: Path, params: Params) -> Tokens:
    """The tokens of a message in a file, with line ends of either kind."""
    from mox.junk.tokens import tokens

    with path.open("rb") as file:
        data = file.read(_READ_OCTETS)
    return tokens(data.replace(b"\r\n", b"\n"), params, wire=False)


def each_tokens(
    paths: list[Path], params: Params, skip: Callable[[Path, str], None]
) -> Iterator[tuple[Path, Tokens]]:
    """Tokens of messages one by one; `skip` hears of those that cannot be read, and why."""
    for path in paths:
        try:
            yield path, read_tokens(path, params)
        except OSError as e:
            skip(path, str(e))
