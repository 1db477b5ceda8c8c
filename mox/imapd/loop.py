"""The command loop of a connection: greeting, one command after the other, goodbye.

This is the border at which errors of a command end: refusals and the store's errors become NO and
BAD, anything unexpected is logged with its stack, counted, and answered NO [SERVERBUG]; the
session goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache, partial
from types import MethodType
from typing import TYPE_CHECKING, Never, cast

from mox import metrics
from mox.imap import codes, responses
from mox.imap.commands import Command, Fetch, Idle, Search, Sort, Store, Thread, label, uses_numbers
from mox.imap.events import (
    AppendStart,
    BadCharset,
    BadCommand,
    CommandReady,
    Event,
    Fatal,
    LineTooLong,
    NeedContinuation,
)
from mox.imap.responses import Condition, UntaggedCondition
from mox.imapd import idling
from mox.imapd.answer import Done, Goodbye, Refusal, bad, from_store, wrong_state
from mox.imapd.append import cmd_append
from mox.imapd.capabilities import capabilities
from mox.imapd.session import Session
from mox.imapd.table import HANDLERS
from mox.imapd.unauthenticated import log_in_by_certificate
from mox.serving.connection import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.serving.parking import Event as ParkEvent
from mox.serving.parking import Parked
from mox.store.errors import ErrorKind, StoreError

if TYPE_CHECKING:
    from prometheus_client import Histogram

    from mox.imapd.service import Service
    from mox.serving.connection import Connection

# Commands in a row that make no sense, before the client is shown the door.
MAX_BAD_COMMANDS = 20
# Until the first command has been understood.
_NONE_YET = -1

_connections = metrics.counter(
    "mox_imap_connection_total", "Incoming IMAP connections.", ("service",)
)
_durations = metrics.histogram(
    "mox_imap_command_duration_seconds",
    "Duration of IMAP commands, by command and result.",
    ("cmd", "result"),
)


@cache
def _duration(name: str, result: str) -> Histogram:
    """Return the timer of one command and result; finding it by labels each time is slower."""
    return _durations.labels(name, result)


def handle(service: Service, conn: Connection) -> Parked | None:
    """Serve one connection until its end, or until it is quiet."""
    _connections.labels(conn.listen.service).inc()
    session = Session(service, conn)
    session.log.debug("new connection", service=conn.listen.service, tls=conn.tls is not None)
    return _converse(session, partial(_greet, session))


def _converse(session: Session, begin: Callable[[], None]) -> Parked | None:
    """Go on with the dialogue: this is the border at which a connection ends."""
    parked: Parked | None = None
    try:
        parked = _until_quiet(session, begin)
    except ConnectionLost as e:
        session.log.debug("connection ended", err=e)
    finally:
        if parked is None:
            session.close()
    return parked


def _until_quiet(session: Session, begin: Callable[[], None]) -> Parked | None:
    try:
        begin()
        return _commands(session)
    except Goodbye as e:
        session.write(responses.untagged("BYE", e.text, e.code))
    except ConnectionDraining:
        session.write(responses.untagged("BYE", "shutting down", codes.UNAVAILABLE))
    except ConnectionTimeout:
        session.write(responses.untagged("BYE", "inactive for too long"))
    session.flush()
    return None


def _greet(session: Session) -> None:
    condition: UntaggedCondition = "OK"
    known = session.certified if session.conn.listen.implicit_tls else None
    if known is not None and known.preauth and log_in_by_certificate(session):
        # RFC 9051 §7.1.4: who the client is has been settled already.
        condition = "PREAUTH"
    code = codes.capability(capabilities(session))
    session.write(responses.untagged(condition, "mox imap", code))


def _commands(session: Session) -> Parked | None:
    """Carry out commands until the client logs out or is quiet for a while."""
    while True:
        event = session.reader.next_event()
        if event is not None:
            if _is_last(session, event):
                session.flush()
                return None
            continue
        parked = _wait(session)
        if parked is not None:
            return parked


def _wait(session: Session) -> Parked | None:
    # A method costs less memory than a closure, which thousands of parked sessions would keep.
    resume = MethodType(_resume, session)
    if session.idling is None:
        return idling.wait_for_command(session, resume)
    parked: Parked | None = None

    def tell() -> None:
        nonlocal parked
        assert session.idling is not None, "tested above"
        parked = idling.idle(session, session.idling, resume)

    answer, result = _outcome(session, "idle", tell, expunge=True)
    if answer is not None:
        _finish_idle(session, answer, result)
    return parked


def _resume(session: Session, event: ParkEvent) -> Parked | None:
    return _converse(session, partial(idling.woken, session, event))


def _finish_idle(session: Session, answer: Done | Refusal, result: str) -> None:
    assert session.idling is not None, "called while idling"
    running, session.idling = session.idling, None
    session.attend()
    _answer(session, running.tag, answer)
    _duration("idle", result).observe(time.monotonic() - running.since)


def _is_last(session: Session, event: Event) -> bool:
    """Act on an event; true at the end of the session."""
    if session.idling is not None:
        answer, result = _outcome(session, "idle", partial(idling.end_idle, event), expunge=True)
        assert answer is not None, "end_idle ends it"
        _finish_idle(session, answer, result)
        return False
    if isinstance(event, BadCommand):
        if session.bad_commands == _NONE_YET:
            # What is no IMAP at all: an HTTP client, a port scanner.
            raise Goodbye("please try again speaking imap")
        session.bad_commands += 1
    elif isinstance(event, CommandReady | AppendStart) or session.bad_commands == _NONE_YET:
        session.bad_commands = 0
    if _act(session, event):
        return True
    if session.bad_commands >= MAX_BAD_COMMANDS:
        raise Goodbye("too many bad commands")
    return False


def _act(session: Session, event: Event) -> bool:
    """Do what an event asks for; true at the end of the session."""
    match event:
        case CommandReady(command):
            _trace(session, command)
            # RFC 9051 §7.5.1, RFC 5256 §3: sequence numbers must not change under these.
            by_number = isinstance(command, Fetch | Store | Search | Sort | Thread)
            expunge = not by_number or getattr(command, "uid", False)
            run = partial(_run, session, command)
            _carry_out(session, command.tag, label(command), run, expunge=expunge)
        case AppendStart(tag):
            _trace(session, event)
            name = event.name.lower()
            _carry_out(session, tag, name, partial(cmd_append, session, event), expunge=True)
        case NeedContinuation():
            session.write(responses.continuation("go ahead"))
            session.flush()
            session.reader.accept_literal()
        case BadCommand(tag, text, code):
            _trace(session, event)
            _duration("(unrecognized)", "badsyntax").observe(0)
            _answer(session, tag, bad(text, code.encode()))
        case BadCharset(tag):
            _answer(session, tag, Refusal("charset is not supported", codes.BADCHARSET))
        case LineTooLong():
            raise Goodbye("line too long", codes.ALERT)
        case Fatal(tag, text):
            session.write(responses.untagged("BYE", text, codes.ALERT))
            _answer(session, tag, bad(text))
            return True
        case _:
            raise AssertionError(f"event {event} outside its command")
    return session.finished


def _run(session: Session, command: Command) -> Done | None:
    """Carry out a command; None: it goes on (IDLE)."""
    if not session.state.allows(command.name):
        raise wrong_state()
    if session.state.uidonly and uses_numbers(command):
        # RFC 9586 §3.1
        raise bad("UIDONLY is enabled: no sequence numbers", codes.UIDREQUIRED)
    if isinstance(command, Idle):
        idling.begin_idle(session, command.tag)
        return None
    return HANDLERS[type(command)](session, cast("Never", command))


def _carry_out(
    session: Session, tag: str, name: str, run: Callable[[], Done | None], *, expunge: bool
) -> None:
    """Run a command, tell what others did meanwhile, and answer."""
    started = time.monotonic()
    result = "ioerror"
    try:
        answer, result = _outcome(session, name, run, expunge=expunge)
        if answer is None:
            return
        _answer(session, tag, answer)
        if session.reader.at_command_start:
            # No further answer that could go with this one: it comes before the bookkeeping.
            session.flush()
        then, session.then = session.then, None
        if then is not None and not isinstance(answer, Refusal):
            session.flush()
            then()
    finally:
        if session.idling is None:
            _duration(name, result).observe(time.monotonic() - started)


def _outcome(
    session: Session, name: str, run: Callable[[], Done | None], *, expunge: bool
) -> tuple[Done | Refusal | None, str]:
    """The text for OK, or why not; and how it is counted. None: the command goes on."""
    try:
        done = run()
        if done is not None and not session.finished:
            session.tell(expunge=expunge)
    except Refusal as e:
        session.log.debug("command refused", cmd=name, err=e)
        return e, "badsyntax" if e.condition == "BAD" else "usererror"
    except StoreError as e:
        if e.kind in (ErrorKind.INTERNAL, ErrorKind.DISK_FULL, ErrorKind.BUSY):
            session.log.error("command failed", cmd=name, err=e)
            return from_store(e), "servererror"
        session.log.debug("command refused", cmd=name, err=e)
        return from_store(e), "usererror"
    except (Goodbye, ConnectionLost, ConnectionTimeout, ConnectionDraining):
        raise
    except Exception as e:
        session.log.exception("command failed unexpectedly", cmd=name, err=e)
        metrics.PANICS.labels("imapserver").inc()
        if session.unfinished:
            # What follows would be taken for a part of the response.
            raise ConnectionLost("a response could not be completed") from e
        return Refusal("internal error", codes.SERVERBUG), "panic"
    return done, "ok"


def _answer(session: Session, tag: str, answer: Done | Refusal) -> None:
    """Write the tagged response."""
    condition: Condition = answer.condition if isinstance(answer, Refusal) else "OK"
    session.write(responses.tagged(tag, condition, answer.text, answer.code))


def _trace(session: Session, received: Command | Event) -> None:
    """Show what came in; values keep secrets out of their repr."""
    if session.log.trace_enabled():
        session.log.trace_protocol("C: ", repr(received).encode())
