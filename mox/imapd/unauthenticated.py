"""Commands before login (RFC 9051 §6.2): STARTTLS, AUTHENTICATE, LOGIN."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import gevent

from mox.imap import codes, responses
from mox.imap.events import RawLine
from mox.imapd.answer import Done, Goodbye, Refusal, bad
from mox.imapd.capabilities import capabilities
from mox.sasl.outcome import Challenge, Reason
from mox.serving.login import LoggedIn, LoginFailed

if TYPE_CHECKING:
    from mox.imap import commands
    from mox.imapd.session import Session
    from mox.serving.login import Exchange, Step

# RFC 5530 §3 and RFC 9051 §7.1: codes for failed logins; those not here are syntax errors.
_CODES = {
    Reason.CREDENTIALS: codes.AUTHENTICATIONFAILED,
    Reason.AUTHZID: codes.AUTHORIZATIONFAILED,
    Reason.BINDING: codes.AUTHENTICATIONFAILED,
    Reason.PROTOCOL: codes.AUTHENTICATIONFAILED,
    Reason.NEEDS_TLS: codes.PRIVACYREQUIRED,
    Reason.DISABLED: b"",
    Reason.TRY_LATER: codes.UNAVAILABLE,
    Reason.LIMITED: codes.LIMIT,
}


def cmd_starttls(session: Session, _: commands.StartTls) -> Done:
    conn = session.conn
    if conn.tls is not None:
        raise bad("tls is active already")
    if conn.tls_context is None:
        raise Refusal("tls is not configured here")
    session.then = session.start_tls
    return Done("begin tls negotiation now")


def cmd_login(session: Session, command: commands.Login) -> Done:
    # RFC 9051 §6.2.3: with LOGINDISABLED the command is refused whatever it says.
    if not session.login.password_allowed:
        raise Refusal("tls required for login", codes.PRIVACYREQUIRED)
    gevent.sleep(session.login.delay_s)
    _conclude(session, session.login.login(command.username, command.password))
    return Done("logged in", codes.capability(capabilities(session)))


def cmd_authenticate(session: Session, command: commands.Authenticate) -> Done:
    mechanism = command.mechanism
    if mechanism not in session.login.mechanisms():
        if mechanism in session.login.mechanisms_after_tls():
            raise Refusal("tls required for this mechanism", codes.PRIVACYREQUIRED)
        raise Refusal("authentication mechanism is not supported", codes.CANNOT)
    gevent.sleep(session.login.delay_s)
    exchange = session.login.begin(mechanism)
    step = exchange.step(command.initial)
    while isinstance(step, Challenge):
        step = exchange.step(_answer(session, exchange, step.data))
    _conclude(session, step)
    return Done("authenticated", codes.capability(capabilities(session)))


def _answer(session: Session, exchange: Exchange, challenge: bytes) -> bytes:
    """Send a challenge and wait for the client's answer."""
    session.write(responses.continuation(base64.b64encode(challenge).decode()), "auth")
    session.reader.expect_line()
    event = session.next_event()
    if not isinstance(event, RawLine):
        raise Goodbye("line too long", codes.ALERT)
    if session.log.trace_enabled():
        session.log.trace_protocol("C: ", event.data, "auth")
    if event.data == b"*":
        # RFC 9051 §6.2.2: the client cancels.
        exchange.cancel()
        session.tire()
        raise bad("authentication cancelled")
    try:
        return base64.b64decode(event.data, validate=True)
    except binascii.Error as e:
        exchange.cancel()
        session.tire()
        raise bad("bad base64 in authentication exchange") from e


def log_in_by_certificate(session: Session) -> bool:
    """Log in as the client's certificate says, unasked; false where the account may not."""
    step = session.login.begin("EXTERNAL").step(b"")
    if not isinstance(step, LoggedIn):
        return False
    _conclude(session, step)
    return True


def _conclude(session: Session, step: Step) -> None:
    """Log in, or tell why not."""
    session.tire()
    if isinstance(step, LoginFailed):
        if step.reason not in _CODES:
            raise bad(step.text)
        raise Refusal(step.text, _CODES[step.reason])
    assert isinstance(step, LoggedIn)
    session.logged_in(session.service.store.account(step.account), step.login_address)
