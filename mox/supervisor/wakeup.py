"""Waiting for signals and for words of children, without a race between the two.

The signal handlers do nothing: Python writes the number of each signal to a pipe, and the loop
polls that pipe together with the one on which children say that they are ready.
"""

from __future__ import annotations

import os
import select
import signal
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from gevent.monkey import get_original

HANDLED = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGUSR2,
    signal.SIGCHLD,
)
Handler = Callable[[int, FrameType | None], object] | signal.Handlers
_PID = struct.Struct("=i")
_CHUNK = 4096

_poll: type[select.poll] = get_original("select", "poll")
# gevent's would hand SIGCHLD to its loop.
plain_signal: Callable[[int, Handler], object] = get_original("signal", "signal")


def _nothing(number: int, frame: FrameType | None) -> None:
    """The pipe has the number already."""


class Wakeup:
    """The supervisor's ears. `ready_fd` is for children to write their pid to."""

    def __init__(self) -> None:
        self._signals, self._signals_in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._ready, self.ready_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._poll = _poll()
        self._poll.register(self._signals, select.POLLIN)
        self._poll.register(self._ready, select.POLLIN)
        signal.set_wakeup_fd(self._signals_in, warn_on_full_buffer=False)
        for number in HANDLED:
            plain_signal(number, _nothing)
        # The program that ran before us in this process may have left them blocked.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)

    def wait(self, timeout_s: float | None) -> tuple[list[signal.Signals], list[int]]:
        """Wait for something; returns the signals and the pids of children that are ready."""
        self._poll.poll(None if timeout_s is None else max(0.0, timeout_s) * 1000)
        numbers = [signal.Signals(number) for number in _read(self._signals)]
        pids = [pid for (pid,) in _PID.iter_unpack(_read(self._ready))]
        return numbers, pids

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Hold signals back: a child must not write to our pipe before it has its own handlers."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def keep_for_next_program(self) -> None:
        """With signals held back: make those that were not yet looked at survive execve."""
        for number in _read(self._signals):
            os.kill(os.getpid(), number)

    def close_in_child(self) -> None:
        """Stop listening, in a child: signals are for its own handlers, set before this ends."""
        signal.set_wakeup_fd(-1)
        for fd in (self._signals, self._signals_in, self._ready):
            os.close(fd)


def announce(ready_fd: int, pid: int) -> None:
    """Tell the supervisor that its child `pid` serves."""
    os.write(ready_fd, _PID.pack(pid))


def _read(fd: int) -> bytes:
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return b""
