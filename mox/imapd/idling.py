"""Waiting for the client: between commands, and in IDLE.

A session that waits for long is parked: it has no greenlet and no stack then, only its state.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.events import RawLine
from mox.imap.notify import Interest
from mox.imapd import notifying
from mox.imapd.answer import Done, Goodbye, bad
from mox.imapd.session import COMMAND_TIMEOUT_S, LITERAL_TIMEOUT_S, Idling
from mox.serving.connection import ConnectionDraining, ConnectionTimeout
from mox.serving.parking import Event as ParkEvent
from mox.serving.parking import Parked
from mox.store.errors import StoreError

if TYPE_CHECKING:
    from mox.imap.events import Event
    from mox.imapd.session import Session

# The next command of a client at work comes a round trip after the answer. So long it is waited for
# with a greenlet, whose stack is some KB of memory, as parking and a new greenlet take longer than
# many a command; the session keeps what can be made again for a while more.
_AWAKE_S = 0.3
_SHRINK_AFTER_S = 5.0

# Goes on with a session in a new greenlet.
Resume = Callable[[ParkEvent], Parked | None]


def wait_for_command(session: Session, resume: Resume) -> Parked | None:
    """Wait for more of a command; between commands for a while only, then the session parks."""
    timeout = session.command_timeout_s
    between = session.reader.at_command_start
    if session.account is None or not between:
        session.receive(timeout, idle=between)
        return None
    if session.listens:
        _tell_listener(session)
        if session.has_input:
            session.receive(0)
            return None
    elif not session.quiet_since:
        session.flush()
        with suppress(ConnectionTimeout):
            session.receive(_AWAKE_S, idle=True)
            return None
    return _park(session, timeout, resume)


def _tell_listener(session: Session) -> None:
    try:
        notifying.tell(session, expunge=True, between=True)
    except StoreError as e:
        session.log.error("telling of changes", err=e)
        session.interest = Interest(())
        text = "internal error, no further notifications"
        session.write(responses.untagged("OK", text, codes.NOTIFICATIONOVERFLOW))
    session.flush()


def _park(session: Session, timeout_s: float, resume: Resume) -> Parked:
    """Wait until the client does something, or others where it listens."""
    now = time.monotonic()
    session.quiet_since = session.quiet_since or now
    quiet_s = now - session.quiet_since
    if quiet_s >= timeout_s:
        raise ConnectionTimeout("no command for a long time")
    wake = session.wake if session.listens else None
    if quiet_s < _SHRINK_AFTER_S:
        return Parked(resume, min(_SHRINK_AFTER_S, timeout_s) - quiet_s, wake)
    session.shrink()
    return Parked(resume, timeout_s - quiet_s, wake)


def begin_idle(session: Session, tag: str) -> None:
    """RFC 9051 §6.3.13: from now on the client is told what happens, until it says DONE."""
    session.reader.expect_line()
    session.write(responses.continuation("idling"))
    session.idling = Idling(tag, time.monotonic())
    session.attend()


def idle(session: Session, idling: Idling, resume: Resume) -> Parked | None:
    """Tell what is new, then park until something happens; None: there is more to read."""
    session.tell(expunge=True)
    session.flush()
    if session.has_input:
        session.receive(0)
        return None
    session.shrink()
    left_s = idling.since + COMMAND_TIMEOUT_S - time.monotonic()
    return Parked(resume, left_s, session.wake)


def end_idle(event: Event) -> Done:
    """Judge what the client said while it idled: anything but DONE is an error."""
    if not isinstance(event, RawLine):
        raise Goodbye("line too long", codes.ALERT)
    if event.data.strip().upper() != b"DONE":
        raise bad("expected DONE")
    return Done("idle done")


def woken(session: Session, event: ParkEvent) -> None:
    """A parked session goes on: take in what there is."""
    if session.conn.draining:
        raise ConnectionDraining
    session.wake.clear()
    if event == "ready":
        session.quiet_since = 0.0
        session.receive(LITERAL_TIMEOUT_S)
    elif event == "timeout" and not (session.quiet_since and session.idling is None):
        # RFC 9051 §5.4: after at least 30 minutes.
        if session.idling is not None:
            raise Goodbye("idle for too long, renew idle earlier")
        raise ConnectionTimeout("no command for a long time")
