"""Commands about content filters: those of accounts, and trying out parameters on directories.

Commands about accounts work on the index whether the server runs or not.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mox.cli import junkfiles
from mox.cli.command import Command, Globals
from mox.cli.junkfiles import Score
from mox.cli.owner import become_owner
from mox.errors import UserError

if TYPE_CHECKING:
    from mox.config import Config
    from mox.junk.classifier import Classification
    from mox.junk.mailboxflags import Mark
    from mox.junk.memory import MemoryFilter
    from mox.junk.params import Params
    from mox.junk.tokens import Tokens
    from mox.store import Store
    from mox.store.account import Account

# ---- directories


def _train(args: argparse.Namespace) -> int:
    from mox.junk.mailboxflags import Mark

    trained = _new_filter(args)
    for directory, mark in ((args.hamdir, Mark.HAM), (args.spamdir, Mark.JUNK)):
        _train_files(trained, junkfiles.files(directory), mark)
    junkfiles.save(args.dbpath, trained)
    print(f"{trained.ham} ham and {trained.spam} junk messages, {len(trained.counts)} words")
    return 0


def _test(args: argparse.Namespace) -> int:
    from mox.junk.mailboxflags import Mark

    trained = junkfiles.read_filter(args)
    ham, spam = junkfiles.files(args.hamdir), junkfiles.files(args.spamdir)
    _print_scores(trained, [*_labelled(ham, Mark.HAM), *_labelled(spam, Mark.JUNK)], args)
    return 0


def _analyze(args: argparse.Namespace) -> int:
    from mox.junk.mailboxflags import Mark

    if not 0 < args.trainratio < 1:
        raise UserError("-trainratio must be between 0 and 1")
    rnd = random.Random(args.seed)
    trained = _new_filter(args)
    rest: list[tuple[Path, Mark]] = []
    for directory, mark in ((args.hamdir, Mark.HAM), (args.spamdir, Mark.JUNK)):
        paths = junkfiles.files(directory)
        rnd.shuffle(paths)
        count = round(len(paths) * args.trainratio)
        _train_files(trained, paths[:count], mark)
        rest += _labelled(paths[count:], mark)
    print(f"trained with {trained.ham} ham and {trained.spam} junk messages")
    _print_scores(trained, rest, args)
    return 0


def _play(args: argparse.Namespace) -> int:
    from mox.junk.mailboxflags import Mark

    played = _new_filter(args)
    messages = [
        *_labelled(junkfiles.files(args.hamdir), Mark.HAM),
        *_labelled(junkfiles.files(args.spamdir), Mark.JUNK),
    ]
    sent = set(junkfiles.files(args.sentdir)) if args.sentdir else set()
    messages += _labelled(sorted(sent), Mark.HAM)
    messages.sort(key=lambda message: (_time(message[0]), message[0]))
    scores = {Mark.HAM: Score(), Mark.JUNK: Score()}
    for path, mark in messages:
        for _, found in junkfiles.each_tokens([path], played.params, _skip):
            if path not in sent:
                scores[mark].add(_is_right(_asked(played, found), mark, args.threshold))
            played.train(found.words, mark)
    _print(scores)
    return 0


def _time(path: Path) -> int:
    """When a message was written, by its Date field, else when its file was."""
    from mox.message.dates import parse_date
    from mox.message.fields import field_values

    with path.open("rb") as file:
        head = file.read(1 << 16).replace(b"\r\n", b"\n").partition(b"\n\n")[0]
    dates = field_values(head, "Date", wire=False)
    date = parse_date(dates[0]) if dates else None
    return date[0] if date is not None else int(path.stat().st_mtime)


def _new_filter(args: argparse.Namespace) -> MemoryFilter:
    from mox.junk.memory import MemoryFilter

    return MemoryFilter(junkfiles.parameters(args))


def _labelled(paths: Iterable[Path], mark: Mark) -> list[tuple[Path, Mark]]:
    return [(path, mark) for path in paths]


def _train_files(trained: MemoryFilter, paths: list[Path], mark: Mark) -> None:
    for _, found in junkfiles.each_tokens(paths, trained.params, _skip):
        trained.train(found.words, mark)


def _asked(trained: MemoryFilter, found: Tokens) -> Classification:
    from mox.junk.classifier import BAD_TYPE

    return BAD_TYPE if found.has_bad_type else trained.classify(found.words)


def _is_right(result: Classification, mark: Mark, threshold: float) -> bool:
    from mox.junk.mailboxflags import Mark

    return (result.probability > threshold) == (mark is Mark.JUNK)


def _print_scores(
    trained: MemoryFilter, messages: Sequence[tuple[Path, Mark]], args: argparse.Namespace
) -> None:
    from mox.junk.mailboxflags import Mark

    scores = {Mark.HAM: Score(), Mark.JUNK: Score()}
    for path, mark in messages:
        for _, found in junkfiles.each_tokens([path], trained.params, _skip):
            is_right = _is_right(_asked(trained, found), mark, args.threshold)
            scores[mark].add(is_right)
            if args.verbose and not is_right:
                print(f"wrong: {path}")
    _print(scores)


def _print(scores: dict[Mark, Score]) -> None:
    for mark, score in scores.items():
        print(f"{mark.value}: {score}")


def _skip(path: Path, reason: str) -> None:
    print(f"{path}: {reason}", file=sys.stderr)


# ---- one message


def _check(args: argparse.Namespace) -> int:
    path = Path(args.file)
    if not args.account:
        trained = junkfiles.read_filter(args)
        _print_result(_asked(trained, junkfiles.read_tokens(path, trained.params)))
        return 0
    return _with_store(args, lambda store, config: _check_for(store, config, args.account, path))


def _check_for(store: Store, config: Config, name: str, path: Path) -> int:
    from mox.delivery import content

    account, params = _account(store, config, name)
    if params is None:
        raise UserError(f"account {name!r} has no JunkFilter")
    message = path.read_bytes().replace(b"\r\n", b"\n")
    _print_result(content.classify(account, params, message))
    return 0


def _print_result(result: Classification) -> None:
    note = "" if result.significant else " (not significant: little wanted mail was trained)"
    print(f"probability of junk: {result.probability:.6f}{note}")
    for title, words in (("ham", result.ham_words), ("junk", result.spam_words)):
        print(f"{title} words: {', '.join(f'{word} {score:.3f}' for word, score in words)}")


# ---- accounts


def _verify(args: argparse.Namespace) -> int:
    return _with_store(args, lambda store, config: _verify_all(store, config, args.account))


def _verify_all(store: Store, config: Config, name: str | None) -> int:
    from mox.store.wordcheck import check_words

    is_good = True
    for account in _accounts(store, config, name):
        report = check_words(account)
        is_good = is_good and not report.problems
        print(
            f"{account.name}: {report.ham} ham and {report.spam} junk messages, "
            f"{report.words} words, {report.backlog} messages to look at: "
            f"{'ok' if not report.problems else 'WRONG, mend it with `mox retrain`'}"
        )
        for problem in report.problems:
            print(f"  {problem}")
    return 0 if is_good else 1


def _retrain(args: argparse.Namespace) -> int:
    return _with_store(args, lambda store, config: _retrain_all(store, config, args.account))


def _retrain_all(store: Store, config: Config, name: str | None) -> int:
    from mox.store import learning
    from mox.store.words import read_state

    for account in _accounts(store, config, name):
        params = _params(config, account.name)
        learning.retrain(account, params)
        state = read_state(store.dbs, account.id)
        print(f"{account.name}: {state.ham} ham and {state.spam} junk messages")
    return 0


def _accounts(store: Store, config: Config, name: str | None) -> list[Account]:
    if name is not None:
        return [_account(store, config, name)[0]]
    found = (store.find_account(name) for name in sorted(config.dynamic.accounts))
    return [account for account in found if account is not None]


def _account(store: Store, config: Config, name: str) -> tuple[Account, Params | None]:
    if name not in config.dynamic.accounts:
        raise UserError(f"no account {name!r} in {config.domains_path}")
    return store.account(name), _params(config, name)


def _params(config: Config, name: str) -> Params | None:
    from mox.delivery import content

    return content.params(config.dynamic.accounts[name])


def _with_store(args: argparse.Namespace, work: Callable[[Store, Config], int]) -> int:
    from mox.config import load
    from mox.store import open_store

    given: Globals = args.globals
    config = load(given.config, check_files=False)
    become_owner(config.data_dir)
    store = open_store(config.data_dir)
    try:
        return work(store, config)
    finally:
        store.close()


# ---- what they take


def _configure_directories(parser: argparse.ArgumentParser) -> None:
    junkfiles.add_parameters(parser)
    parser.add_argument("hamdir", help="directory or Maildir with wanted messages")
    parser.add_argument("spamdir", help="directory or Maildir with junk")


def _configure_train(parser: argparse.ArgumentParser) -> None:
    junkfiles.add_file(parser)
    _configure_directories(parser)


def _configure_test(parser: argparse.ArgumentParser) -> None:
    _configure_train(parser)
    _configure_scoring(parser)


def _configure_scoring(parser: argparse.ArgumentParser) -> None:
    junkfiles.add_threshold(parser)
    parser.add_argument("-verbose", action="store_true", help="name those it was wrong about")


def _configure_analyze(parser: argparse.ArgumentParser) -> None:
    _configure_directories(parser)
    _configure_scoring(parser)
    parser.add_argument("-trainratio", type=float, default=0.5, help="share to train with")
    parser.add_argument("-seed", type=int, default=None, help="for the same choice again")


def _configure_play(parser: argparse.ArgumentParser) -> None:
    _configure_directories(parser)
    junkfiles.add_threshold(parser)
    parser.add_argument("-sentdir", default="", help="sent messages: learnt as wanted")


def _configure_check(parser: argparse.ArgumentParser) -> None:
    junkfiles.add_parameters(parser)
    junkfiles.add_file(parser)
    parser.add_argument("-account", default="", help="ask the filter of this account")
    parser.add_argument("file", help="a message")


def _configure_account(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("account", nargs="?", help="without it: all accounts")


COMMANDS = [
    Command(
        ("junk", "train"),
        "Make a file of word counts from a directory of wanted messages and one of junk.",
        _configure_train,
        _train,
    ),
    Command(
        ("junk", "check"),
        "Say how probable it is that a message is junk, and by which words: with the filter of an "
        "account, or with a file of word counts.",
        _configure_check,
        _check,
    ),
    Command(
        ("junk", "test"),
        "Say how often a file of word counts is right about two directories of messages.",
        _configure_test,
        _test,
    ),
    Command(
        ("junk", "analyze"),
        "Train with a random part of two directories of messages, and say how often the result is "
        "right about the rest.",
        _configure_analyze,
        _analyze,
    ),
    Command(
        ("junk", "play"),
        "Classify and then learn the messages of two directories one by one, by their dates, and "
        "say how often the filter would have been right.",
        _configure_play,
        _play,
    ),
    Command(
        ("junk", "verify"),
        "Add up what the content filters of accounts have learnt and compare it with their "
        "counts. Exit status 1 when something is wrong.",
        _configure_account,
        _verify,
    ),
    Command(
        ("retrain",),
        "Make content filters anew from all messages with $Junk or $NotJunk. The server may run "
        "meanwhile; it does so itself after a change of the parameters.",
        _configure_account,
        _retrain,
    ),
]
