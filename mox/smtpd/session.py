"""One SMTP connection: moves bytes between socket and machine, asks the rules, keeps time.

All replies to pipelined commands go out in one write. An unexpected exception in a command is
answered 451 and logged; the connection goes on.
"""

from __future__ import annotations

import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Generic, Protocol, TypeVar

from mox import logfmt
from mox.metrics import PANICS
from mox.sasl.outcome import Challenge
from mox.serving.errors import ConnectionDraining, ConnectionLost, ConnectionTimeout
from mox.smtp.config import ServerConfig
from mox.smtp.events import (
    NEEDS_REPLY,
    Answered,
    Auth,
    AuthResponse,
    Data,
    DataChunk,
    DataEnd,
    Event,
    Hello,
    MailFrom,
    RcptTo,
    Reset,
    StartTLS,
)
from mox.smtp.replies import ACCEPTANCE
from mox.smtp.reply import Reply
from mox.smtp.server import Server
from mox.smtp.state import State
from mox.smtpd import metrics, tracing
from mox.smtpd.incoming import Incoming
from mox.smtpd.link import Link
from mox.smtpd.submission import Submission
from mox.smtpd.transaction import Transaction

if TYPE_CHECKING:
    from mox.serving.connection import Connection
    from mox.smtpd.services import Services

# RFC 5321 §4.5.3.2.7 asks for 5 minutes; the reference waits 30 s and is not alone.
READ_TIMEOUT_S: Final = 30.0
# Error replies without one success: what still comes is no mail.
MAX_ERRORS: Final = 100

SHUTTING_DOWN: Final = Reply(421, "4.3.2", "shutting down")
TIMED_OUT: Final = Reply(421, "4.4.2", "timeout waiting for data")
TOO_LONG: Final = Reply(421, "4.4.2", "message took too long")
TOO_MANY_ERRORS: Final = Reply(421, "4.7.0", "too many errors")
INTERNAL: Final = Reply(451, "4.3.0", "internal error")
HELLO: Final = Reply(250, None, "")

# Between commands and without transaction: where a stopping process may say goodbye.
IDLE_STATES: Final = frozenset({State.CONNECTED, State.READY})

R = TypeVar("R")
_VERBS: Final = {
    StartTLS: "STARTTLS",
    Auth: "AUTH",
    AuthResponse: "AUTH",
    MailFrom: "MAIL",
    RcptTo: "RCPT",
    DataEnd: "DATA",
}


class Rules(Protocol[R]):
    """What port 25 and submission decide differently. A reply refuses, None accepts."""

    @property
    def kind(self) -> str:
        """Label of metrics."""

    def server_config(self) -> ServerConfig:
        """Settings for the machine, on the connection as it is now."""

    def tls_started(self) -> None: ...

    def hello(self, event: Hello) -> Reply | None: ...

    def auth(self, event: Auth | AuthResponse) -> Challenge | Reply | None: ...

    def auth_ended(self, reply: Reply) -> None:
        """The machine refused or ended a login."""

    def mail(self, transaction: Transaction[R]) -> Reply | None: ...

    def rcpt(self, transaction: Transaction[R], event: RcptTo) -> Reply | None:
        """Decide about a recipient; an accepted one is added to the transaction."""

    def message(self, transaction: Transaction[R]) -> Reply:
        """Take responsibility for a complete message, or refuse it."""


def converse(services: Services, conn: Connection) -> None:
    """Serve one connection from the greeting to its end."""
    ctx = services.ctx
    log = logfmt.logger("smtpserver").bind(remote_ip=conn.remote_ip, cid=conn.cid)
    link = Link(
        services=services,
        conn=conn,
        listener=ctx.config.static.listeners[conn.listen.listener],
        id=services.received_ids.encode(conn.cid),
        log=log,
    )
    if conn.listen.service == "smtp":
        Session(link, Incoming(link)).run()
    else:
        Session(link, Submission(link)).run()


class Session(Generic[R]):
    """The conversation with one client under one set of rules."""

    def __init__(self, link: Link, rules: Rules[R]) -> None:
        self._link = link
        self._conn = link.conn
        self._rules = rules
        self._log = link.log
        self._store = link.services.ctx.store
        self._machine = Server(rules.server_config(), has_tls=link.has_tls, now=_utc_now)
        self._transaction: Transaction[R] | None = None

    def run(self) -> None:
        """Converse until one side ends it."""
        metrics.CONNECTIONS.labels(self._rules.kind).inc()
        self._log.debug("new connection", kind=self._rules.kind, tls=self._link.has_tls)
        try:
            self._machine.reply(Reply(220, None, f"{self._link.hostname.ascii} ESMTP mox"))
            self._loop()
        except ConnectionTimeout:
            self._part(TIMED_OUT)
        except ConnectionDraining:
            self._part(SHUTTING_DOWN)
        finally:
            self._drop_transaction()

    def _loop(self) -> None:
        machine = self._machine
        while True:
            event = machine.next_event()
            if event is not None:
                self._handle(event)
                continue
            self._flush()
            if machine.closed or not self._fill():
                return

    # ---- bytes

    def _flush(self) -> None:
        data = self._machine.data_to_send()
        if data:
            if self._log.trace_enabled():
                tracing.sent(self._log, data, self._machine.state)
            self._conn.send(data)

    def _fill(self) -> bool:
        """Read more; false at the end of the stream or of our patience."""
        machine, transaction = self._machine, self._transaction
        timeout_s = READ_TIMEOUT_S
        if transaction is not None and transaction.deadline:
            timeout_s = min(timeout_s, transaction.deadline - time.monotonic())
            if timeout_s <= 0:
                self._part(TOO_LONG)
                return False
        if machine.errors > MAX_ERRORS and not machine.recipients:
            self._part(TOO_MANY_ERRORS)
            return False
        data = self._conn.recv(timeout_s, idle=machine.state in IDLE_STATES)
        if not data:
            return False
        if self._log.trace_enabled():
            tracing.received(self._log, data, machine.state)
        machine.receive(data)
        return True

    def _part(self, reply: Reply) -> None:
        """Say why we close, if the client is still there to hear it."""
        self._log.debug("closing connection", code=reply.code, reason=reply.text)
        if not self._machine.closed:
            self._machine.abort(reply)
            with suppress(ConnectionLost, ConnectionTimeout):
                self._flush()

    # ---- events

    def _handle(self, event: Event) -> None:
        if isinstance(event, DataChunk):
            self._keep(event.data)
        elif isinstance(event, NEEDS_REPLY):
            began = time.perf_counter()
            answer = self._decide(event)
            if isinstance(answer, Challenge):
                self._machine.challenge(answer.data)
                return
            self._reply(event, answer)
            self._observe(event, answer, time.perf_counter() - began)
        elif isinstance(event, Answered):
            self._answered(event)
        else:
            assert isinstance(event, Reset)
            self._drop_transaction()

    def _decide(self, event: Event) -> Reply | Challenge | None:
        try:
            return self._ask(event)
        except (ConnectionLost, ConnectionTimeout, ConnectionDraining):
            raise
        except Exception:
            PANICS.labels("smtpserver").inc()
            self._log.exception("command failed for an unexpected reason")
            return INTERNAL

    def _ask(self, event: Event) -> Reply | Challenge | None:
        transaction = self._transaction
        match event:
            case MailFrom():
                return self._begin(event)
            case RcptTo():
                assert transaction is not None, "RCPT comes after MAIL"
                return self._rules.rcpt(transaction, event)
            case Data():
                assert transaction is not None, "DATA comes after MAIL"
                transaction.begin_data(self._store)
                return None
            case DataEnd():
                return self._finish(event)
            case Hello():
                self._link.hello = event
                return self._rules.hello(event)
            case Auth() | AuthResponse():
                return self._rules.auth(event)
        return None

    def _reply(self, event: Event, reply: Reply | None) -> None:
        machine = self._machine
        if reply is None:
            machine.accept()
        else:
            machine.reply(reply, close=self._link.hang_up)
        if isinstance(event, StartTLS) and reply is None:
            self._start_tls()
        elif isinstance(event, DataEnd):
            self._drop_transaction()

    def _start_tls(self) -> None:
        context = self._conn.tls_context
        assert context is not None, "STARTTLS is announced with a certificate only"
        self._flush()
        is_delivery = self._rules.kind == "deliver"
        try:
            self._conn.start_tls(context)
        except (ConnectionLost, ConnectionTimeout) as e:
            if is_delivery:
                metrics.STARTTLS_ERRORS.labels("handshake").inc()
            raise ConnectionLost(f"starttls: {e}") from e
        if is_delivery:
            metrics.STARTTLS.inc()
        self._rules.tls_started()
        self._machine.tls_started(self._rules.server_config())

    def _answered(self, event: Answered) -> None:
        reply = event.reply
        if reply.is_error:
            self._log.debug("command refused", cmd=event.verb, code=reply.code, reason=reply.text)
            if event.verb == "AUTH":
                self._rules.auth_ended(reply)
        metrics.command(self._rules.kind, event.verb, reply.code, reply.enhanced).observe(0.0)

    def _observe(self, event: Event, reply: Reply | None, seconds: float) -> None:
        reply = reply or ACCEPTANCE.get(type(event), HELLO)
        if reply.is_intermediate:
            return
        if isinstance(event, Hello):
            verb = "EHLO" if event.is_extended else "HELO"
        else:
            verb = _VERBS.get(type(event), "DATA")
        if reply.is_error:
            self._log.debug("command refused", cmd=verb, code=reply.code, reason=reply.text)
        metrics.command(self._rules.kind, verb, reply.code, reply.enhanced).observe(seconds)

    # ---- the transaction

    def _begin(self, event: MailFrom) -> Reply | None:
        transaction = Transaction[R](self._link.services.ctx.config, event)
        reply = self._rules.mail(transaction)
        if reply is None:
            self._transaction = transaction
        return reply

    def _keep(self, data: bytes) -> None:
        if self._transaction is not None:
            error = self._transaction.write(data)
            if error is not None:
                self._log.error("message cannot be kept", err=error)

    def _finish(self, event: DataEnd) -> Reply:
        transaction = self._transaction
        assert transaction is not None, "a message is in a transaction"
        problem = event.problem or transaction.finish()
        if problem is not None:
            self._link.failed += 1
            self._log.info(
                "message refused",
                mailfrom=transaction.mail.path,
                recipients=len(transaction.recipients),
                code=problem.code,
                reason=problem.text,
                size=event.size,
            )
            return problem
        # The reply is given in any case; reading the message is over.
        transaction.deadline = 0.0
        return self._rules.message(transaction)

    def _drop_transaction(self) -> None:
        if self._transaction is not None:
            self._transaction.close()
            self._transaction = None


def _utc_now() -> datetime:
    return datetime.now(UTC)
