"""A message on its way in: pieces in, the same message out, from memory and from a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import gevent
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mox.message.windowed import Windowed
from mox.store import spool as spool_module
from mox.store.errors import ErrorKind, StoreError
from mox.store.pool import BlockingPool
from mox.store.spool import MEMORY_LIMIT, Spool
from tests.support.server import eventually

LARGE = b"0123456789\r\n" * (MEMORY_LIMIT // 8)
PIECES = st.sampled_from([b"\r", b"\n", b"\r\n", b"x", b"\r\r\n", b"yy\r\n", b"z" * 50])


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[], Spool]]:
    pool = BlockingPool(2)
    yield lambda: Spool(str(tmp_path), pool)
    pool.close()


def written(spool: Spool, *chunks: bytes) -> Spool:
    for chunk in chunks:
        spool.write(chunk)
    return spool


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@given(st.lists(PIECES, max_size=40), st.integers(1, 60), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=100)
def test_line_ends_are_found_wherever_the_octets_are_cut(
    make: Callable[[], Spool], chunks: list[bytes], piece: int, large: bool
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spool_module, "_PIECE", piece)
        patch.setattr(spool_module, "_WAITING", 10)
        patch.setattr(spool_module, "MEMORY_LIMIT", 20 if large else MEMORY_LIMIT)
        with written(make(), *chunks) as spool:
            whole = b"".join(chunks)
            assert spool.size == len(whole)
            assert bytes(spool.octets()) == whole.replace(b"\r\n", b"\n")
            assert spool.is_large == (large and len(whole) > 20)


def test_a_large_message_is_in_a_file_and_not_in_memory(make: Callable[[], Spool]) -> None:
    with written(make(), *[LARGE[at : at + 65536] for at in range(0, len(LARGE), 65536)]) as spool:
        stored = LARGE.replace(b"\r\n", b"\n")
        assert isinstance(spool.octets(), Windowed)
        assert bytes(spool.octets()) == stored
        assert bytes(spool.stored()) == stored
        assert spool.read_at(5, 10) == stored[5:15]


def test_others_have_turns_while_a_large_one_is_read(make: Callable[[], Spool]) -> None:
    with written(make(), LARGE) as spool:
        octets, turns = spool.octets(), 0

        def other() -> None:
            nonlocal turns
            while True:
                turns += 1
                gevent.sleep(0.0001)

        greenlet = gevent.spawn(other)
        assert octets.count(b"\n") == LARGE.count(b"\n")
        greenlet.kill()
        assert turns >= len(octets) // (1 << 18)


@pytest.mark.parametrize("size", [1, MEMORY_LIMIT], ids=["small", "large"])
def test_its_start_can_be_replaced(make: Callable[[], Spool], size: int) -> None:
    with written(make(), b"Old: x\r\n\r\n", b"text\r\n" * (size // 4 + 1)) as spool:
        spool.stored()
        spool.replace_start(7, b"New: yy\n")
        expected = b"New: yy\n\n" + b"text\n" * (size // 4 + 1)
        assert bytes(spool.octets()) == expected
        assert bytes(spool.stored()) == expected


def test_closing_frees_the_file_without_holding_up_the_loop(make: Callable[[], Spool]) -> None:
    with written(make()):
        pass
    before = open_files()
    spool = written(make(), LARGE)
    spool.stored()
    spool.replace_start(12, b"")
    spool.close()
    spool.close()
    eventually(lambda: open_files() <= before)


def test_a_file_that_cannot_be_made_is_an_error_of_the_store(tmp_path: Path) -> None:
    pool = BlockingPool(1)
    try:
        with pytest.raises(StoreError) as caught:
            Spool(str(tmp_path / "missing"), pool).write(LARGE)
        assert caught.value.kind is ErrorKind.INTERNAL
    finally:
        pool.close()


def test_what_cannot_be_read_is_an_error_of_the_store(
    make: Callable[[], Spool], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(spool: Spool, at: int, length: int) -> bytes:
        raise OSError(5, "input/output error")

    with written(make(), LARGE) as spool:
        octets = spool.octets()
        monkeypatch.setattr(Spool, "read_at", broken)
        with pytest.raises(StoreError):
            octets.find(b"x")
