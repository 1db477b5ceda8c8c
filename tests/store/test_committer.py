"""Group commit: many writes, one transaction; each fails or succeeds by itself."""

from __future__ import annotations

import _thread
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import lmdb
import pytest

from mox.store.bells import Bells
from mox.store.committer import Committer, WriteTxn
from mox.store.durable import FileBatch, FileWrite
from mox.store.env import Databases, open_environment
from mox.store.errors import ErrorKind, StoreError
from mox.store.notify import Touched


class Bench:
    """A committer of its own, and a gate behind which jobs gather into one batch."""

    def __init__(self, root: Path, *, lazy: bool = False) -> None:
        for sub in ("tmp", "new"):
            (root / sub).mkdir()
        self.root = root
        self.dbs: Databases = open_environment(root / "index", lazy=lazy)
        self.fatal: list[BaseException] = []
        files = FileBatch(str(root))
        self.touched: list[Touched] = []
        self.committer = Committer(
            self.dbs, files, Bells.alone(), self.touched.append, self.fatal.append, lazy=lazy
        )
        self.commits = 0

    def together(self, *jobs: Callable[[], object]) -> list[object]:
        """Run writes in one batch; the result or error of each."""
        gate = _thread.allocate_lock()
        gate.acquire()
        begun: list[bool] = []

        def hold() -> None:
            begun.append(True)
            gate.acquire()

        first = gevent.spawn(self.committer.write, lambda write: None, (), hold)
        with gevent.Timeout(20):
            while not begun and not first.ready():
                gevent.sleep(0.001)
        waiting = [gevent.spawn(_outcome, job) for job in jobs]
        gevent.sleep(0)
        before = self.transactions()
        gate.release()
        gevent.joinall([first, *waiting], timeout=20)
        self.commits = self.transactions() - before
        return [each.value for each in waiting]

    def transactions(self) -> int:
        return int(self.dbs.env.info()["last_txnid"])

    def put(self, key: bytes, value: bytes = b"") -> Callable[[], object]:
        return lambda: self.committer.write(lambda write: write.put(write.dbs.meta, key, value))

    def file(self, name: str, fn: Callable[[WriteTxn], object]) -> Callable[[], object]:
        write = FileWrite(f"{self.root}/tmp/{name}", f"{self.root}/new/{name}", [b"x"])
        return lambda: self.committer.write(fn, [write])

    def keys(self) -> list[bytes]:
        with self.dbs.env.begin() as txn:
            found = txn.cursor(db=self.dbs.meta).iternext(values=False)
            return [bytes(key) for key in found if key != b"version"]

    def files(self) -> list[str]:
        return sorted(str(path.relative_to(self.root)) for path in self.root.glob("[tn]*/*"))


def _outcome(job: Callable[[], object]) -> object:
    try:
        return job()
    except Exception as e:
        return e


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.committer.close()
    bench.dbs.env.close()


def refuse(write: WriteTxn) -> None:
    write.put(write.dbs.meta, b"trace of a failed job", b"")
    raise StoreError(ErrorKind.OVER_QUOTA, "too much")


def test_what_waits_is_committed_once(bench: Bench) -> None:
    results = bench.together(*(bench.put(b"%d" % i) for i in range(9)))
    assert results == [None] * 9
    assert len(bench.keys()) == 9
    # The gate's own transaction writes nothing.
    assert bench.commits == 1


def test_results_go_to_those_who_asked(bench: Bench) -> None:
    jobs = [lambda i=i: bench.committer.write(lambda write: i) for i in range(20)]
    assert bench.together(*jobs) == list(range(20))


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failing_job_takes_no_other_with_it(bench: Bench, place: int) -> None:
    jobs = [bench.file("a", lambda write: write.put(write.dbs.meta, b"a", b"")), bench.put(b"b")]
    jobs.insert(place, bench.file("bad", refuse))
    results = bench.together(*jobs)
    failed = results.pop(place)
    assert isinstance(failed, StoreError)
    assert failed.kind is ErrorKind.OVER_QUOTA
    assert results == [None, None]
    assert bench.keys() == [b"a", b"b"]
    assert bench.files() == ["new/a"]
    assert not bench.fatal


def test_jobs_that_run_twice_count_once(bench: Bench) -> None:
    """A batch with a failing job is run again, each job in a transaction of its own."""

    def count(write: WriteTxn) -> int:
        present = int(write.get(write.dbs.meta, b"n") or b"0") + 1
        write.put(write.dbs.meta, b"n", b"%d" % present)
        return present

    jobs: list[Callable[[], object]] = [lambda: bench.committer.write(count) for _ in range(4)]
    jobs.insert(2, lambda: bench.committer.write(refuse))
    results = bench.together(*jobs)
    assert sorted(r for r in results if isinstance(r, int)) == [1, 2, 3, 4]


def test_errors_of_any_kind_reach_the_caller(bench: Bench) -> None:
    def fail(write: WriteTxn) -> None:
        raise ZeroDivisionError

    first, second = bench.together(lambda: bench.committer.write(fail), bench.put(b"b"))
    assert isinstance(first, ZeroDivisionError)
    assert second is None
    assert not bench.fatal


def test_a_key_that_lmdb_refuses_is_its_job_s_fault(bench: Bench) -> None:
    results = bench.together(bench.put(b"a"), bench.put(b"k" * 600), bench.put(b"b"))
    assert isinstance(results[1], StoreError)
    assert results[1].temporary
    assert bench.keys() == [b"a", b"b"]
    assert not bench.fatal


def test_a_failing_preparation_fails_its_job_only(bench: Bench) -> None:
    ran: list[str] = []

    def prepare() -> None:
        raise OSError(errno.EACCES, "no")

    failed, other = bench.together(
        lambda: bench.committer.write(lambda write: ran.append("x"), prepare=prepare),
        bench.put(b"b"),
    )
    assert isinstance(failed, OSError)
    assert other is None
    assert ran == []


def test_a_failed_sync_fails_all_and_ends_the_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    results = bench.together(
        bench.put(b"a"), bench.file("b", lambda write: write.put(write.dbs.meta, b"b", b""))
    )
    for result in results:
        assert isinstance(result, StoreError)
        assert result.kind is ErrorKind.INTERNAL
        assert result.temporary
    assert len(bench.fatal) == 1
    assert bench.keys() == []
    assert bench.files() == []
    monkeypatch.undo()
    # Until the process has ended nothing more is written: the page cache may lie.
    (later,) = bench.together(bench.file("c", lambda write: None))
    assert isinstance(later, StoreError)
    assert bench.files() == []
    assert len(bench.fatal) == 1


def test_a_full_map_is_a_full_disk_and_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mox.store.env.MAP_SIZE", 1 << 20)
    bench = Bench(tmp_path)

    def fill(write: WriteTxn) -> None:
        write.put(write.dbs.meta, b"big", bytes(2 << 20))

    small = bench.file("a", lambda write: write.put(write.dbs.meta, b"a", b""))
    for result in bench.together(small, bench.file("big", fill)):
        assert isinstance(result, StoreError)
        assert result.kind is ErrorKind.DISK_FULL
        assert "free space" in result.detail
    assert bench.files() == []
    assert not bench.fatal
    assert bench.together(small) == [None]
    assert bench.keys() == [b"a"]
    bench.committer.close()


def test_a_commit_without_space_passes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """What LMDB does when the file system under it is full."""

        def begin(self, **_: object) -> object:
            raise lmdb.Error("mdb_txn_commit: No space left on device")

    real, bench.dbs.env = bench.dbs.env, Full()  # type: ignore[assignment]
    try:
        with pytest.raises(StoreError) as caught:
            bench.committer.write(lambda write: None)
    finally:
        bench.dbs.env = real
    assert caught.value.kind is ErrorKind.DISK_FULL
    assert not bench.fatal
    bench.put(b"a")()
    assert bench.keys() == [b"a"]


def test_an_index_that_fails_otherwise_ends_the_process(bench: Bench) -> None:
    class Broken:
        def begin(self, **_: object) -> object:
            raise lmdb.PanicError("mdb_txn_begin: MDB_PANIC")

    real, bench.dbs.env = bench.dbs.env, Broken()  # type: ignore[assignment]
    try:
        with pytest.raises(StoreError):
            bench.committer.write(lambda write: None)
    finally:
        bench.dbs.env = real
    gevent.sleep(0)  # callers hear of it first
    assert isinstance(bench.fatal[0], lmdb.PanicError)


@pytest.mark.parametrize("fails", [False, True])
def test_who_gives_up_waiting_disturbs_nobody(bench: Bench, fails: bool) -> None:
    gate = _thread.allocate_lock()
    gate.acquire()
    blocker = gevent.spawn(bench.committer.write, lambda write: None, (), gate.acquire)
    gevent.sleep(0)
    fn = refuse if fails else (lambda write: write.put(write.dbs.meta, b"late", b""))
    impatient = gevent.spawn(_outcome, lambda: bench.committer.write(fn))
    killed = gevent.spawn(_outcome, lambda: bench.committer.write(fn))
    with gevent.Timeout(0.01, False):
        bench.committer.write(fn)
    killed.kill()
    other = gevent.spawn(bench.put(b"other"))
    gevent.sleep(0)
    gate.release()
    gevent.joinall([blocker, impatient, other], timeout=20)
    assert other.successful()
    assert isinstance(impatient.value, StoreError) == fails
    assert bench.keys() == ([b"other"] if fails else [b"late", b"other"])
    bench.put(b"z")()
    assert bench.keys()[-1] == b"z"


def test_closing_finishes_what_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    waiting = [gevent.spawn(bench.put(b"%d" % i)) for i in range(5)]
    gevent.sleep(0)
    bench.committer.close()
    gevent.joinall(waiting, timeout=20)
    assert len(bench.keys()) == 5
    bench.dbs.env.close()


def test_more_jobs_than_a_batch_holds(bench: Bench) -> None:
    results = bench.together(*(bench.put(b"%04d" % i) for i in range(600)))
    assert results == [None] * 600
    assert len(bench.keys()) == 600
    assert 2 < bench.commits < 10


class Syncs:
    """An environment that counts what it is asked to sync beyond its commits."""

    def __init__(self, env: lmdb.Environment) -> None:
        self._env = env
        self.count = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._env, name)

    def sync(self, force: bool = False) -> None:
        assert force
        self.count += 1
        self._env.sync(True)


def counted(root: Path, *, lazy: bool) -> tuple[Bench, Syncs]:
    bench = Bench(root, lazy=lazy)
    syncs = Syncs(bench.dbs.env)
    bench.dbs.env = syncs  # type: ignore[assignment]
    return bench, syncs


def put(bench: Bench, key: bytes, *, durable: bool) -> None:
    bench.committer.write(lambda write: write.put(write.dbs.meta, key, b""), durable=durable)


def test_lazy_commits_are_synced_when_somebody_needs_it(tmp_path: Path) -> None:
    bench, syncs = counted(tmp_path, lazy=True)
    assert not bench.dbs.env.flags()["metasync"]
    put(bench, b"a", durable=False)
    put(bench, b"b", durable=False)
    assert syncs.count == 0
    put(bench, b"c", durable=True)
    assert syncs.count == 1
    bench.committer.flush()
    assert syncs.count == 1  # nothing since
    put(bench, b"d", durable=False)
    bench.committer.flush()
    assert syncs.count == 2
    put(bench, b"e", durable=False)
    bench.committer.close()
    assert syncs.count == 3
    assert len(bench.keys()) == 5
    bench.dbs.env.close()


def test_one_that_must_be_durable_makes_its_batch_so(tmp_path: Path) -> None:
    bench, syncs = counted(tmp_path, lazy=True)
    bench.together(lambda: put(bench, b"a", durable=False), lambda: put(bench, b"b", durable=True))
    done = syncs.count
    assert done >= 1
    bench.committer.flush()
    assert syncs.count == done  # there is nothing left to do
    bench.committer.close()
    bench.dbs.env.close()


def test_other_processes_sync_each_commit_themselves(tmp_path: Path) -> None:
    bench, syncs = counted(tmp_path, lazy=False)
    put(bench, b"a", durable=False)
    bench.committer.flush()
    bench.committer.close()
    assert syncs.count == 0
    assert bench.dbs.env.flags()["metasync"]
    bench.dbs.env.close()
