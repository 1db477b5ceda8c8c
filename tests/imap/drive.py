"""Drive the reader: feed octets in pieces, accept every literal, collect what comes out."""

from __future__ import annotations

from collections.abc import Iterable

from mox.imap.commands import Command
from mox.imap.events import (
    AppendStart,
    CatenateText,
    CatenateUrl,
    CommandReady,
    Event,
    LiteralChunk,
    NeedContinuation,
)
from mox.imap.framing import Reader
from mox.imap.limits import LIMITS, Limits

WAITING = NeedContinuation | AppendStart | CatenateText | CatenateUrl


def pieces_of(data: bytes, size: int) -> Iterable[bytes]:
    return (data[at : at + size] for at in range(0, len(data), size))


def drive(
    data: bytes, *, size: int = 0, utf8: bool = False, limits: Limits = LIMITS
) -> list[Event]:
    """Give all events of `data`, fed in pieces of `size` octets (0: all at once)."""
    reader = Reader(limits, utf8=utf8)
    events: list[Event] = []
    for piece in pieces_of(data, size) if size else [data]:
        reader.feed(piece)
        while (event := reader.next_event()) is not None:
            events.append(event)
            if isinstance(event, WAITING):
                reader.accept_literal()
    return events


def joined(events: list[Event]) -> list[Event]:
    """Merge neighbouring literal chunks, so that ways of feeding can be compared."""
    merged: list[Event] = []
    for event in events:
        if isinstance(event, LiteralChunk) and merged and isinstance(merged[-1], LiteralChunk):
            merged[-1] = LiteralChunk(merged[-1].data + event.data)
        else:
            merged.append(event)
    return merged


def command(line: str | bytes, *, utf8: bool = False) -> Command:
    """Parse one command, without tag and CRLF; the tag is "t"."""
    raw = line if isinstance(line, bytes) else line.encode()
    events = drive(b"t " + raw + b"\r\n", utf8=utf8)
    event = events[-1]
    assert isinstance(event, CommandReady), event
    return event.command


def outcome(line: str | bytes, *, utf8: bool = False) -> Event:
    raw = line if isinstance(line, bytes) else line.encode()
    (event,) = drive(b"t " + raw + b"\r\n", utf8=utf8)
    return event
