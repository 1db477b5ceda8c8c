"""A running server: noticing changes of domains.conf, making them, losing nothing."""

from __future__ import annotations

import multiprocessing
import os
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mox import sconf
from mox.config import Config, ConfigErrors, ConfigFile
from mox.config import file as config_file
from mox.config.account import Account
from mox.config.dynamic import Dynamic
from tests.config.texts import DYNAMIC, Files


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Watched:
    """A ConfigFile with a clock by hand, and the errors that it reported."""

    def __init__(self, files: Files) -> None:
        files.write()
        self.clock = Clock()
        self.errors: list[ConfigErrors] = []
        self.path = files.domains_path
        self.file = ConfigFile(
            files.path, clock=self.clock, on_error=self.errors.append, check_files=False
        )

    def later(self, seconds: float = 1.0) -> Config:
        self.clock.now += seconds
        return self.file.current

    def write(self, text: str) -> None:
        """Write like an editor that renames, so that the file differs however fast we are."""
        temporary = self.path.with_name("new")
        temporary.write_text(text)
        temporary.rename(self.path)


@pytest.fixture
def watched(files: Files) -> Watched:
    return Watched(files)


CHANGED = DYNAMIC.replace("Mailbox: Other", "Mailbox: Changed")
BROKEN = DYNAMIC.replace("Domain: example.org", "Domain: a..b")


def mailbox(config: Config) -> str:
    return config.dynamic.accounts["second"].destinations["second@example.org"].mailbox


def test_change_is_noticed_after_a_second(watched: Watched) -> None:
    watched.write(CHANGED)
    assert mailbox(watched.later(0.9)) == "Other"
    assert mailbox(watched.later(0.1)) == "Changed"


def test_same_state_is_the_same_object(watched: Watched) -> None:
    before = watched.file.current
    assert watched.later() is before


def test_file_is_looked_at_once_a_second(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    real = config_file.signature_of

    def count(status: os.stat_result) -> config_file.Signature:
        looks.append(1)
        return real(status)

    monkeypatch.setattr(config_file, "signature_of", count)
    for _ in range(100):
        watched.later(0.1)
    assert len(looks) in (9, 10)


def test_error_keeps_the_old_state_and_is_told_once(watched: Watched) -> None:
    before = watched.file.current
    watched.write(BROKEN)
    assert watched.later() is before
    assert watched.later() is before
    assert len(watched.errors) == 1
    assert len(watched.errors[0].errors) == 2
    watched.write(CHANGED)
    assert mailbox(watched.later()) == "Changed"


def test_missing_file_keeps_the_old_state(watched: Watched) -> None:
    before = watched.file.current
    watched.path.unlink()
    assert watched.later() is before
    assert watched.later() is before
    assert len(watched.errors) == 1
    watched.write(CHANGED)
    assert mailbox(watched.later()) == "Changed"


def test_broken_file_at_the_start_raises(files: Files) -> None:
    files.write()
    files.domains_path.write_text(BROKEN)
    with pytest.raises(ConfigErrors):
        ConfigFile(files.path, check_files=False)


def set_full_name(name: str) -> Callable[[Dynamic], Dynamic]:
    def make(dynamic: Dynamic) -> Dynamic:
        second = replace(dynamic.accounts["second"], full_name=name)
        return replace(dynamic, accounts={**dynamic.accounts, "second": second})

    return make


def add_account(name: str) -> Callable[[Dynamic], Dynamic]:
    def make(dynamic: Dynamic) -> Dynamic:
        account = Account(domain="example.org")
        return replace(dynamic, accounts={**dynamic.accounts, name: account})

    return make


def test_change_is_in_force_at_once_and_written(watched: Watched) -> None:
    config = watched.file.change(set_full_name("S"))
    assert watched.file.current is config
    assert watched.later() is config
    assert config.dynamic.accounts["second"].full_name == "S"
    expected = DYNAMIC.replace(
        "\tsecond:\n\t\tDomain: example.org\n",
        "\tsecond:\n\t\tDomain: example.org\n\t\tFullName: S\n",
    )
    assert watched.path.read_text() == expected


def test_change_keeps_comments(watched: Watched) -> None:
    text = "# head\n\n" + DYNAMIC.replace("\tsecond:", "\t# the second\n\tsecond:") + "# end\n"
    watched.write(text)
    watched.file.change(add_account("third"))
    assert watched.path.read_text() == text.replace(
        "# end\n", "\tthird:\n\t\tDomain: example.org\n# end\n"
    )


def test_change_starts_from_what_is_in_the_file(watched: Watched) -> None:
    watched.write(CHANGED)
    config = watched.file.change(set_full_name("S"))
    assert mailbox(config) == "Changed"


def test_bare_localpart_is_completed_by_the_next_change(watched: Watched) -> None:
    watched.write(DYNAMIC.replace("second@example.org:", "second:"))
    watched.file.change(set_full_name("S"))
    assert "second@example.org:" in watched.path.read_text()


def test_tree_can_be_changed(watched: Watched) -> None:
    def change(document: sconf.Document) -> None:
        document.set(["Accounts", "mjl", "Description"], "me")

    assert watched.file.edit(change).dynamic.accounts["mjl"].description == "me"


def assert_untouched(watched: Watched, before: Config) -> None:
    assert watched.path.read_text() == DYNAMIC
    assert watched.later() is before
    names = sorted(path.name for path in watched.path.parent.iterdir())
    assert names == ["domains.conf", "domains.conf.lock", "mox.conf"]


def test_refused_change_leaves_no_trace(watched: Watched) -> None:
    before = watched.file.current
    with pytest.raises(ConfigErrors, match=r"Accounts\.\.\.: account name"):
        watched.file.change(add_account(".."))
    with pytest.raises(sconf.SconfError):
        watched.file.change(set_full_name("a\nb"))
    with pytest.raises(ZeroDivisionError):
        watched.file.edit(lambda _document: print(1 // 0))
    assert_untouched(watched, before)


@pytest.mark.parametrize("call", ["fsync", "rename", "fchmod"])
def test_failed_write_leaves_no_trace(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    before = watched.file.current
    with monkeypatch.context() as patch:
        patch.setattr(os, call, fail)
        with pytest.raises(OSError, match="No space left"):
            watched.file.change(set_full_name("S"))
    assert_untouched(watched, before)


def test_change_of_a_broken_file_is_refused(watched: Watched) -> None:
    for text in (BROKEN, DYNAMIC + "nonsense\n", DYNAMIC + "Routes: x\n"):
        watched.write(text)
        with pytest.raises(ConfigErrors):
            watched.file.change(set_full_name("S"))
        assert watched.path.read_text() == text


def test_mode_is_kept(watched: Watched) -> None:
    watched.path.chmod(0o640)
    watched.file.change(set_full_name("S"))
    assert stat.S_IMODE(watched.path.stat().st_mode) == 0o640


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_owner_is_kept(watched: Watched) -> None:
    os.chown(watched.path, 1234, 2345)
    watched.file.change(set_full_name("S"))
    status = watched.path.stat()
    assert (status.st_uid, status.st_gid) == (1234, 2345)


def test_file_and_directory_are_synced_in_order(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_fsync, real_rename = os.fsync, os.rename

    def fsync(descriptor: int) -> None:
        is_dir = stat.S_ISDIR(os.fstat(descriptor).st_mode)
        calls.append("sync directory" if is_dir else "sync file")
        real_fsync(descriptor)

    def rename(source: str, target: Path) -> None:
        calls.append("rename")
        real_rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "rename", rename)
    watched.file.change(set_full_name("S"))
    assert calls == ["sync file", "rename", "sync directory"]


def test_waiting_for_the_lock_ends(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "LOCK_TIMEOUT_S", 0.1)

    def change_within(_document: sconf.Document) -> None:
        watched.file.change(set_full_name("S"))

    with pytest.raises(ConfigErrors, match="another program is changing it"):
        watched.file.edit(change_within)


def test_changes_of_several_threads_are_all_kept(watched: Watched) -> None:
    def change(number: int) -> None:
        watched.file.change(add_account(f"t{number}"))

    threads = [threading.Thread(target=change, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(watched.later().dynamic.accounts) == 10


def add_accounts(path: Path, process: int) -> None:
    file = ConfigFile(path, check_files=False)
    for number in range(5):
        file.change(add_account(f"p{process}n{number}"))


def test_changes_of_several_processes_are_all_kept(files: Files) -> None:
    files.write()
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=add_accounts, args=(files.path, number)) for number in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
        assert process.exitcode == 0
    assert len(ConfigFile(files.path, check_files=False).current.dynamic.accounts) == 12
