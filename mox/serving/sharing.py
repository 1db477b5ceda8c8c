"""Workers of a kind give each other connections, so that each has as many as the others.

The kernel spreads new connections over the workers' sockets by chance. A worker that has more than
another hands on what it has just accepted: the descriptor and the number of the door it came in by
travel to the other's *inbox*, a socket of its own that outlives it. Nothing is handed on twice.
"""

from __future__ import annotations

import _socket
import array
import os
from collections.abc import Callable, Mapping
from typing import Final

import gevent
from gevent.hub import get_hub

from mox import logfmt
from mox.serving.parking import READ, new_waiter, park
from mox.serving.tally import Tally, size_bytes

# Taken per turn of the loop.
_TAKE_AT_ONCE = 4
_PAUSE_S = 0.2
_WATCH_S = 3600.0
_DOOR_BYTES: Final = 2
_FD_BYTES: Final = array.array("i").itemsize
_CUT: Final = _socket.MSG_TRUNC | _socket.MSG_CTRUNC
_ALL: Final = 1 << 62

Take = Callable[[int, int], None]
"""Gets a descriptor, which it owns from then on, and the number of the door."""

_log = logfmt.logger("serve")


class Sharing:
    """A worker's part in it. All but `listen` returns at once."""

    def __init__(
        self,
        tally: Tally,
        me: int,
        inbox: _socket.socket | None,
        outboxes: Mapping[int, _socket.socket],
    ) -> None:
        """`me` is this worker's number in `tally`; all sockets are SOCK_SEQPACKET, non-blocking."""
        self._tally = tally
        self._me = me
        self._inbox = inbox
        self._outboxes = outboxes

    @classmethod
    def alone(cls) -> Sharing:
        """For a worker that has no others beside it."""
        return cls(Tally(memoryview(bytearray(size_bytes(1))), 1), 0, None, {})

    def set_open(self, count: int) -> None:
        """Say how many connections this worker has."""
        self._tally.set_open(self._me, count)

    # Giving.

    def give(self, sock: _socket.socket, door: int, margin: int) -> bool:
        """Hand a new connection to a worker that has `margin` less, and close it here.

        False: there is none, or it cannot be reached now. Then nothing has happened.
        """
        to = self._tally.emptiest(self._me, margin)
        if to is None:
            return False
        rights = (_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [sock.fileno()]))
        self._tally.add_sent(self._me, to, 1)
        try:
            self._outboxes[to].sendmsg([door.to_bytes(_DOOR_BYTES)], [rights])
        except OSError as e:
            # Its inbox is full or, since a moment ago, closed; or too many descriptors of this
            # user are on their way.
            self._tally.add_sent(self._me, to, -1)
            _log.debug("connection not handed over, serving it here", err=e, to=to + 1)
            return False
        sock.close()
        return True

    # Taking.

    def join(self, take: Take) -> None:
        """Take what waits since a worker before us in this place, then be there for the others."""
        self._take_waiting(take, _ALL)
        self._tally.settle(self._me)
        self._tally.set_available(self._me, True)

    def listen(self, take: Take, is_full: Callable[[], bool]) -> None:
        """Give what comes to `take`, until nothing can come any more; pause while `is_full`."""
        if self._inbox is None:
            return
        watcher = get_hub().loop.io(self._inbox.fileno(), READ)
        try:
            while True:
                if is_full():
                    gevent.sleep(_PAUSE_S)
                    continue
                park(new_waiter(), watcher, _WATCH_S)
                if not self._take_waiting(take, _TAKE_AT_ONCE):
                    return
        finally:
            watcher.close()

    def leave(self, take: Take) -> None:
        """Get no more, and take what had been sent by then.

        What is sent to a worker that will have a successor in its place may come still.
        """
        self._tally.set_available(self._me, False)
        if self._inbox is not None and self._tally.is_ending:
            # From here on sending fails, and the senders keep what they have.
            self._inbox.shutdown(_socket.SHUT_RD)
        self._take_waiting(take, _ALL)

    def _take_waiting(self, take: Take, most: int) -> bool:
        """Take up to `most`; false: the inbox is closed."""
        inbox = self._inbox
        while inbox is not None and most > 0:
            try:
                text, rights, flags, _ = inbox.recvmsg(
                    _DOOR_BYTES, _socket.CMSG_LEN(_FD_BYTES), _socket.MSG_CMSG_CLOEXEC
                )
            except BlockingIOError:
                return True
            if not text:
                return False
            self._arrived(text, rights, flags, take)
            most -= 1
        return True

    def _arrived(
        self, text: bytes, rights: list[tuple[int, int, bytes]], flags: int, take: Take
    ) -> None:
        fds = array.array("i")
        for level, kind, data in rights:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
                fds.frombytes(data[: len(data) - len(data) % _FD_BYTES])
        if len(fds) == 1 and len(text) == _DOOR_BYTES and not flags & _CUT:
            take(fds[0], int.from_bytes(text))
        else:
            # The kernel closes what it could not give us, which ends the connection.
            _log.error("cannot take connections, raise the limit on files", flags=flags)
            for fd in fds:
                os.close(fd)
        self._tally.add_received(self._me)
