from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import gevent
import lmdb
import pytest

from mox.store import ephemeral
from mox.store.ephemeral import Ephemeral, EphemeralError, open_ephemeral


@pytest.fixture
def env(tmp_path: Path) -> Iterator[Ephemeral]:
    opened = open_ephemeral(tmp_path)
    yield opened
    close(opened)


def close(opened: Ephemeral) -> None:
    """Close, and wait until LMDB would let the path be opened again."""
    opened.close()
    with gevent.Timeout(10):
        while opened._env is not None:
            try:
                opened._env.stat()
            except lmdb.Error:
                return
            gevent.sleep(0.002)


def count(txn: lmdb.Transaction) -> int:
    value = int(txn.get(b"n") or b"0") + 1
    txn.put(b"n", str(value).encode())
    return value


def current(txn: lmdb.Transaction) -> int:
    return int(txn.get(b"n") or b"0")


def test_writes_are_seen_by_reads(env: Ephemeral) -> None:
    assert [env.write(count) for _ in range(3)] == [1, 2, 3]
    assert env.read(current) == 3


def test_waiting_writes_run_together_and_each_gets_its_result(env: Ephemeral) -> None:
    jobs = [gevent.spawn(env.write, count) for _ in range(700)]
    gevent.joinall(jobs, timeout=10, raise_error=True)
    assert sorted(job.value for job in jobs) == list(range(1, 701))


def test_posted_writes_happen_in_order(env: Ephemeral) -> None:
    for _ in range(10):
        env.post(count)
    assert env.write(count) == 11


def test_a_job_that_raises_fails_its_batch_and_leaves_nothing(env: Ephemeral) -> None:
    def broken(txn: lmdb.Transaction) -> None:
        count(txn)
        raise ZeroDivisionError

    with pytest.raises(EphemeralError):
        env.write(broken)
    assert env.read(current) == 0
    assert env.write(count) == 1


def test_a_second_open_in_one_process_is_an_error(env: Ephemeral, tmp_path: Path) -> None:
    with pytest.raises(EphemeralError):
        open_ephemeral(tmp_path)


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("in the way")
    with pytest.raises(EphemeralError):
        open_ephemeral(tmp_path)


def test_counts_survive_within_a_boot(tmp_path: Path) -> None:
    first = open_ephemeral(tmp_path)
    first.write(count)
    close(first)
    second = open_ephemeral(tmp_path)
    assert second.read(current) == 1
    close(second)


def test_a_new_boot_starts_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = open_ephemeral(tmp_path)
    first.write(count)
    close(first)
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("another boot")
    monkeypatch.setattr(ephemeral, "_BOOT_ID", boot_id)
    second = open_ephemeral(tmp_path)
    assert second.read(current) == 0
    close(second)


@pytest.mark.parametrize("damage", [b"", b"x" * 100_000, b"\0" * 8192])
def test_a_damaged_file_is_replaced(tmp_path: Path, damage: bytes) -> None:
    first = open_ephemeral(tmp_path)
    first.write(count)
    close(first)
    (tmp_path / "run/ephemeral/data.mdb").write_bytes(damage)
    second = open_ephemeral(tmp_path)
    assert second.write(count) == 1
    close(second)


def test_files_are_for_the_owner_only(env: Ephemeral, tmp_path: Path) -> None:
    for name in ("data.mdb", "lock.mdb"):
        assert (tmp_path / "run/ephemeral" / name).stat().st_mode & 0o077 == 0


HOLDER = """
import sys
from mox.store.ephemeral import open_ephemeral
from pathlib import Path
env = open_ephemeral(Path(sys.argv[1]))
def hold(txn):
    print("holding", flush=True)
    sys.stdin.readline()
env.write(hold, 60)
"""


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that sits on the write lock."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"holding\n"
        yield process
        process.kill()


def test_a_held_lock_stops_neither_loop_nor_caller_for_long(
    holder: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    env = open_ephemeral(tmp_path)
    ticks = 0

    def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            gevent.sleep(0.001)

    ticking = gevent.spawn(tick)
    with pytest.raises(EphemeralError, match="lock"):
        env.write(count, 0.1)
    ticking.kill()
    assert ticks > 10
    os.kill(holder.pid, signal.SIGKILL)
    # The job that was given up has been run by then: it was the one that waited for the lock.
    assert env.write(count, 10) in (1, 2)
    close(env)


def test_jobs_given_up_while_queued_do_not_run(
    holder: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    env = open_ephemeral(tmp_path)
    env.post(lambda txn: None)
    gevent.sleep(0.05)  # The thread now waits for the lock with that one.
    with pytest.raises(EphemeralError):
        env.write(count, 0.01)
    os.kill(holder.pid, signal.SIGKILL)
    assert env.write(count, 10) == 1
    close(env)


def test_posts_are_bounded(
    holder: subprocess.Popen[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ephemeral, "MAX_QUEUED", 10)
    env = open_ephemeral(tmp_path)
    with pytest.raises(EphemeralError, match="too many"):
        for _ in range(11):
            env.post(count)
    os.kill(holder.pid, signal.SIGKILL)
    assert env.write(current, 10) == 10
    close(env)
