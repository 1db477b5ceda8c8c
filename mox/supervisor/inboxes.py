"""What workers of one kind and generation share, to give each other connections.

Made before any of them is forked and kept until the generation ends, so that a worker that replaces
a dead one finds what was sent to it.
"""

from __future__ import annotations

import _socket
import mmap
import os
from collections.abc import Iterable, Mapping, Sequence

from mox.serving.sharing import Sharing
from mox.serving.tally import Tally, size_bytes
from mox.supervisor.errors import StartError
from mox.supervisor.kinds import Kind


class Inboxes:
    """For `members` workers: the page of their counts, and a pair of sockets for each."""

    def __init__(self, members: int) -> None:
        """Raises OSError when there are no descriptors or memory."""
        self._ends: list[tuple[_socket.socket, _socket.socket]] = []
        self._page = mmap.mmap(-1, size_bytes(members))
        self._view = memoryview(self._page)
        self._tally = Tally(self._view, members)
        try:
            for _ in range(members):
                self._ends.append(_pair())
        except OSError:
            self.close()
            raise

    def forget(self, member: int) -> None:
        """Note that a worker has died; nothing more is sent to the next one until that serves."""
        self._tally.forget(member)

    def set_ending(self, ending: bool) -> None:
        """Say whether workers that stop from now on have nobody after them to read their inbox."""
        self._tally.set_ending(ending)

    def sharing(self, member: int) -> Sharing:
        """In the worker: its part. Closes the inboxes of the others."""
        outboxes = {}
        for number, (reader, writer) in enumerate(self._ends):
            if number == member:
                writer.close()
            else:
                reader.close()
                outboxes[number] = writer
        return Sharing(self._tally, member, self._ends[member][0], outboxes)

    def close(self) -> None:
        """In the supervisor: forget all this; what a dead worker had not taken is closed."""
        for reader, writer in self._ends:
            reader.close()
            writer.close()
        self._tally.close()
        self._view.release()
        self._page.close()


def make_inboxes(places: Sequence[tuple[Kind, int]]) -> Mapping[str, Inboxes]:
    """Make what each kind needs that serves connections with several workers, by its name.

    Raises StartError.
    """
    members = {kind.name: index + 1 for kind, index in places if kind.services and index > 0}
    made: dict[str, Inboxes] = {}
    try:
        for name, count in members.items():
            made[name] = Inboxes(count)
    except OSError as exc:
        close_all(made.values())
        reason = os.strerror(exc.errno or 0)
        raise StartError(f"cannot make the sockets between workers: {reason}") from exc
    return made


def close_all(inboxes: Iterable[Inboxes]) -> None:
    for each in inboxes:
        each.close()


def _pair() -> tuple[_socket.socket, _socket.socket]:
    # Not gevent's, which would start a loop in the supervisor.
    ends = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends
