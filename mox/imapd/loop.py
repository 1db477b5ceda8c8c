"""The command loop of a connection: greeting, one command after the other, goodbye.

This is the border at which errors of a command end: refusals and the store's errors become NO and
BAD, anything unexpected is logged with its stack, counted, and answered NO [SERVERBUG]; the
session goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Never, cast

from mox import metrics
from mox.imap import codes, responses
from mox.imap.commands import Command, Fetch, Search, Store, label
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
from mox.imap.responses import Condition
from mox.imapd.answer import Done, Goodbye, Refusal, bad, from_store, wrong_state
from mox.imapd.append import cmd_append
from mox.imapd.capabilities import capabilities
from mox.imapd.session import Session
from mox.imapd.table import HANDLERS
from mox.serving.connection import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.store.errors import ErrorKind, StoreError

if TYPE_CHECKING:
    from mox.imapd.service import Service
    from mox.serving.connection import Connection

# Commands in a row that make no sense, before the client is shown the door.
MAX_BAD_COMMANDS = 20
# Without a command for so long, what can be made again is freed.
_SHRINK_AFTER_S = 5.0

_connections = metrics.counter(
    "mox_imap_connection_total", "Incoming IMAP connections.", ("service",)
)
_duration = metrics.histogram(
    "mox_imap_command_duration_seconds",
    "Duration of IMAP commands, by command and result.",
    ("cmd", "result"),
)


def handle(service: Service, conn: Connection) -> None:
    """Serve one connection until its end."""
    _connections.labels(conn.listen.service).inc()
    session = Session(service, conn)
    session.log.debug("new connection", service=conn.listen.service, tls=conn.tls is not None)
    try:
        _converse(session)
    except ConnectionLost as e:
        session.log.debug("connection ended", err=e)
    finally:
        session.close()


def _converse(session: Session) -> None:
    try:
        code = codes.capability(capabilities(session))
        session.write(responses.untagged("OK", "mox imap", code))
        _commands(session)
    except Goodbye as e:
        session.write(responses.untagged("BYE", e.text, e.code))
    except ConnectionDraining:
        session.write(responses.untagged("BYE", "shutting down", codes.UNAVAILABLE))
    except ConnectionTimeout:
        session.write(responses.untagged("BYE", "inactive for too long"))
    session.flush()


def _commands(session: Session) -> None:
    """Carry out commands until the client logs out."""
    bad_commands = 0
    first = True
    while True:
        event = session.reader.next_event()
        if event is None:
            _wait(session)
            continue
        if isinstance(event, BadCommand):
            if first:
                # What is no IMAP at all: an HTTP client, a port scanner.
                raise Goodbye("please try again speaking imap")
            bad_commands += 1
        elif isinstance(event, CommandReady | AppendStart):
            bad_commands = 0
        first = False
        if _act(session, event):
            return
        if bad_commands >= MAX_BAD_COMMANDS:
            raise Goodbye("too many bad commands")


def _wait(session: Session) -> None:
    """Wait for more of a command; between commands the process may also stop."""
    timeout = session.command_timeout_s
    idle = session.reader.at_command_start
    if session.view is not None or session.cached is not None:
        try:
            session.receive(_SHRINK_AFTER_S, idle=idle)
        except ConnectionTimeout:
            session.shrink()
            timeout -= _SHRINK_AFTER_S
        else:
            return
    session.receive(timeout, idle=idle)


def _act(session: Session, event: Event) -> bool:
    """Do what an event asks for; true at the end of the session."""
    match event:
        case CommandReady(command):
            _trace(session, repr(command))
            expunge = not (isinstance(command, Fetch | Store | Search) and not command.uid)
            run = partial(_run, session, command)
            _carry_out(session, command.tag, label(command), run, expunge=expunge)
        case AppendStart(tag):
            _trace(session, repr(event))
            _carry_out(session, tag, "append", partial(cmd_append, session, event), expunge=True)
        case NeedContinuation():
            session.write(responses.continuation("go ahead"))
            session.flush()
            session.reader.accept_literal()
        case BadCommand(tag, text, code):
            _trace(session, repr(event))
            _duration.labels("(unrecognized)", "badsyntax").observe(0)
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


def _run(session: Session, command: Command) -> Done:
    if not session.state.allows(command.name):
        raise wrong_state()
    return HANDLERS[type(command)](session, cast("Never", command))


def _carry_out(
    session: Session, tag: str, name: str, run: Callable[[], Done], *, expunge: bool
) -> None:
    """Run a command, tell what others did meanwhile, and answer."""
    started = time.monotonic()
    result = "ioerror"
    try:
        answer, result = _outcome(session, name, run, expunge=expunge)
        _answer(session, tag, answer)
        then, session.then = session.then, None
        if then is not None and not isinstance(answer, Refusal):
            session.flush()
            then()
    finally:
        _duration.labels(name, result).observe(time.monotonic() - started)


def _outcome(
    session: Session, name: str, run: Callable[[], Done], *, expunge: bool
) -> tuple[Done | Refusal, str]:
    """The text for OK, or why not; and how it is counted."""
    try:
        done = run()
        session.tell(expunge=expunge)
    except Refusal as e:
        session.log.debug("command refused", cmd=name, err=e)
        return e, "badsyntax" if e.condition == "BAD" else "usererror"
    except StoreError as e:
        if e.kind in (ErrorKind.INTERNAL, ErrorKind.DISK_FULL):
            session.log.error("command failed", cmd=name, err=e)
            return from_store(e), "servererror"
        session.log.debug("command refused", cmd=name, err=e)
        return from_store(e), "usererror"
    except (Goodbye, ConnectionLost, ConnectionTimeout, ConnectionDraining):
        raise
    except Exception as e:
        session.log.exception("command failed unexpectedly", cmd=name, err=e)
        metrics.PANICS.labels("imapserver").inc()
        return Refusal("internal error", codes.SERVERBUG), "panic"
    return done, "ok"


def _answer(session: Session, tag: str, answer: Done | Refusal) -> None:
    """Write the tagged response."""
    condition: Condition = answer.condition if isinstance(answer, Refusal) else "OK"
    session.write(responses.tagged(tag, condition, answer.text, answer.code))


def _trace(session: Session, text: str) -> None:
    """Show what came in; values keep secrets out of their repr."""
    if session.log.trace_enabled():
        session.log.trace_protocol("C: ", text.encode())
