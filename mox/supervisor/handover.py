"""From one program to the next in the same process: what survives execve, and how it is told.

The listening sockets, the bells, the pid file's lock and the children go on; their descriptors
and pids travel in one environment variable.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import msgspec

from mox.supervisor.errors import StartError
from mox.supervisor.sockets import Address

VARIABLE = "MOX_HANDOVER"


class Child(msgspec.Struct, frozen=True):
    """A process of the old program that goes on until its successor serves."""

    pid: int
    kind: str
    index: int
    slot: int


class Inherited(msgspec.Struct, frozen=True):
    """A listening address and its sockets."""

    ip: str
    port: int
    fds: list[int]


class Handover(msgspec.Struct, frozen=True):
    """Everything that the next program must know. New fields need defaults."""

    pidfile_fd: int
    bells: list[int]
    sockets: list[Inherited]
    children: list[Child]
    generation: int = 0

    @property
    def addresses(self) -> dict[Address, Sequence[int]]:
        return {(entry.ip, entry.port): entry.fds for entry in self.sockets}

    @property
    def descriptors(self) -> list[int]:
        fds = [fd for entry in self.sockets for fd in entry.fds]
        return [self.pidfile_fd, *self.bells, *fds]


def sockets_of(table: Mapping[Address, Sequence[int]]) -> list[Inherited]:
    """A socket table's descriptors in the form that travels."""
    return [Inherited(ip, port, list(fds)) for (ip, port), fds in table.items()]


def receive() -> Handover | None:
    """Take what a program before us in this process left; None after an ordinary start."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    try:
        handover = msgspec.json.decode(text, type=Handover)
    except msgspec.MsgspecError as exc:
        raise StartError(f"the program before this one left an unreadable {VARIABLE}") from exc
    for fd in handover.descriptors:
        os.set_inheritable(fd, False)
    return handover


def execute(handover: Handover, argv: Sequence[str], environment: Mapping[str, str]) -> None:
    """Replace the program; returns only by raising OSError, with everything as before."""
    for fd in handover.descriptors:
        os.set_inheritable(fd, True)
    told = {**environment, VARIABLE: msgspec.json.encode(handover).decode()}
    try:
        os.execve(argv[0], list(argv), told)  # noqa: S606  # our own program, no shell
    finally:
        for fd in handover.descriptors:
            os.set_inheritable(fd, False)
