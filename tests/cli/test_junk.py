"""`mox junk …` and `mox retrain`, on directories and on the accounts of a configuration."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from mox.cli.arguments import UsageError, find, parse
from mox.cli.command import Globals
from mox.cli.junk import COMMANDS
from mox.errors import MoxError
from mox.store import learning, open_store
from mox.store.model import Target
from mox.store.records import KEY_A
from mox.store.words import COUNTS
from tests.config.texts import DYNAMIC, STATIC

FILTER = """
\t\tJunkFilter:
\t\t\tThreshold: 0.95
\t\t\tParams:
\t\t\t\tOnegrams: true
\t\t\t\tMaxPower: 0.01
\t\t\t\tTopWords: 10
\t\t\t\tIgnoreWords: 0.1
\t\t\t\tRareWords: 2
"""


class Ran(NamedTuple):
    status: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*words: str) -> Ran:
        command, rest = find(COMMANDS, words)
        args = parse(command, rest)
        args.globals = Globals(tmp_path / "mox.conf", None, False)
        try:
            status, raised = command.run(args), ""
        except MoxError as e:
            status, raised = 1, str(e)
        captured = capsys.readouterr()
        return Ran(status, captured.out, captured.err + raised)

    return run


def message(text: str, number: int, day: int = 1) -> bytes:
    date = f"{day} Jan 2026 10:{number:02}:00 +0000"
    return f"Date: {date}\r\nSubject: {text}\r\n\r\n{text} again\r\n".encode()


@pytest.fixture
def mail(tmp_path: Path) -> tuple[str, str]:
    """A directory of ham and a Maildir of junk."""
    ham, spam = tmp_path / "ham", tmp_path / "spam"
    ham.mkdir()
    for sub in ("new", "cur", "tmp"):
        (spam / sub).mkdir(parents=True)
    for i in range(20):
        (ham / f"{i:02}").write_bytes(message("lunch project meeting", i))
        (spam / ("new" if i % 2 else "cur") / f"{i:02}:2,").write_bytes(
            message("casino winner", i, 2).replace(b"\r\n", b"\n")
        )
    (ham / ".hidden").write_text("not a message")
    return str(ham), str(spam)


def test_train_then_check_and_test(run: Run, mail: tuple[str, str], tmp_path: Path) -> None:
    path = str(tmp_path / "words")
    ran = run("junk", "train", "-dbpath", path, *mail)
    assert ran == Ran(0, "20 ham and 20 junk messages, 11 words\n", "")
    new = tmp_path / "new"
    new.write_bytes(message("winner winner", 1))
    ran = run("junk", "check", "-dbpath", path, str(new))
    assert ran.out.startswith("probability of junk: 0.9")
    assert "not significant" in ran.out
    assert "junk words: Subject:winner 0.990, winner 0.990" in ran.out
    ran = run("junk", "test", "-dbpath", path, *mail)
    assert ran.out == "ham: 20 of 20 right (100.0 %)\njunk: 20 of 20 right (100.0 %)\n"
    ran = run("junk", "test", "-verbose", "-dbpath", path, mail[1], mail[0])
    assert ran.out.count("wrong: ") == 40
    assert ran.out.endswith("ham: 0 of 20 right (0.0 %)\njunk: 0 of 20 right (0.0 %)\n")


def test_analyze_trains_with_a_part(run: Run, mail: tuple[str, str]) -> None:
    ran = run("junk", "analyze", "-trainratio", "0.25", "-seed", "1", *mail)
    assert ran.out == (
        "trained with 5 ham and 5 junk messages\n"
        "ham: 15 of 15 right (100.0 %)\njunk: 15 of 15 right (100.0 %)\n"
    )
    assert run("junk", "analyze", "-twograms", "yes", "-onegrams", "no", *mail).status == 0


def test_play_goes_by_date(run: Run, mail: tuple[str, str], tmp_path: Path) -> None:
    """Ham is older: nothing is known when it comes, nor of the first junk."""
    ran = run("junk", "play", *mail)
    assert ran.out.startswith("ham: 20 of 20 right (100.0 %)\njunk: ")
    assert "junk: 0 of" not in ran.out
    sent = tmp_path / "sent"
    sent.mkdir()
    (sent / "1").write_bytes(b"Subject: no date\n\ncasino\n")
    assert run("junk", "play", "-sentdir", str(sent), *mail).out.startswith("ham: 20 of 20")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("junk", "test", "-dbpath", "none", "{ham}", "{spam}"), "none is not there"),
        (("junk", "test", "-dbpath", "{ham}/00", "{ham}", "{spam}"), "not a file of word counts"),
        (("junk", "train", "{ham}", "missing"), "missing is not a directory"),
        (("junk", "analyze", "-trainratio", "1", "{ham}", "{spam}"), "between 0 and 1"),
        (("junk", "analyze", "-maxpower", "0", "{ham}", "{spam}"), "-maxpower"),
        (("junk", "analyze", "-topwords", "-1", "{ham}", "{spam}"), "-topwords"),
    ],
)
def test_wrong_use_is_told(
    run: Run, mail: tuple[str, str], words: tuple[str, ...], problem: str
) -> None:
    ran = run(*(word.format(ham=mail[0], spam=mail[1]) for word in words))
    assert ran.status == 1
    assert problem in ran.err


def test_other_grams_than_trained_with_are_refused(
    run: Run, mail: tuple[str, str], tmp_path: Path
) -> None:
    path = str(tmp_path / "words")
    run("junk", "train", "-dbpath", path, *mail)
    ran = run("junk", "test", "-dbpath", path, "-twograms", "yes", *mail)
    assert "trained with other" in ran.err


def test_missing_arguments_are_a_usage_error(run: Run) -> None:
    with pytest.raises(UsageError):
        run("junk", "train", "onlyone")


# ---- accounts


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "mox.conf").write_text(STATIC.replace("../data", "data"))
    head, account, rest = DYNAMIC.partition("\tmjl:\n")
    assert account, "the account of the test configuration"
    (tmp_path / "domains.conf").write_text(head + account + FILTER.lstrip("\n") + rest)
    from mox.config import read_data_dir

    path = read_data_dir(tmp_path / "mox.conf")
    path.mkdir()
    return path


def fill(data_dir: Path, *, learn: bool) -> None:
    from mox.junk.params import Params

    store = open_store(data_dir)
    account = store.account("mjl")
    for text, keyword in (("casino winner", "$Junk"), ("lunch project", "$NotJunk")):
        for i in range(3):
            with store.spool() as spool:
                spool.write(message(text, i))
                store.deliver([Target(account, "INBOX", b"", (1, 0), keywords=(keyword,))], spool)
    if learn:
        learning.learn(store, lambda _: Params())
    store.close()


def test_retrain_then_check_and_verify(run: Run, data_dir: Path, tmp_path: Path) -> None:
    fill(data_dir, learn=False)
    assert run("retrain", "mjl") == Ran(0, "mjl: 3 ham and 3 junk messages\n", "")
    new = tmp_path / "new"
    new.write_bytes(message("winner", 1))
    assert "junk words: " in run("junk", "check", "-account", "mjl", str(new)).out
    ran = run("junk", "verify")
    assert ran.status == 0
    assert ran.out.startswith("mjl: 3 ham and 3 junk messages, ")
    assert ran.out.endswith(", 0 messages to look at: ok\n")


def test_wrong_counts_are_found_and_mended(run: Run, data_dir: Path) -> None:
    fill(data_dir, learn=True)
    store = open_store(data_dir)
    key = KEY_A.pack(store.account("mjl").id) + b"casino"
    store.write(lambda write: write.put(write.dbs.word, key, COUNTS.pack(9, 9)))
    store.close()
    ran = run("junk", "verify", "mjl")
    assert ran.status == 1
    assert "mox retrain" in ran.out
    assert "'casino' counts (9, 9), its messages [0, 3]" in ran.out
    assert run("retrain").status == 0
    assert run("junk", "verify", "mjl").status == 0


def test_unknown_account_is_told(run: Run, data_dir: Path) -> None:
    for words in (("retrain", "nobody"), ("junk", "verify", "nobody")):
        assert "no account 'nobody'" in run(*words).err


def test_account_without_filter_has_nothing_to_ask(
    run: Run, data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "domains.conf").write_text(DYNAMIC)
    (tmp_path / "new").write_bytes(message("winner", 1))
    assert "has no JunkFilter" in run("junk", "check", "-account", "mjl", str(tmp_path / "new")).err
