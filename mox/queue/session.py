"""One connection to another server: the client machine on a stream, with time limits and traces.

A `Session` that was opened has been greeted, has TLS as its policy asks for and is logged in. It
carries any number of transactions, one after the other, until `is_usable` is false.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, TypeVar

from cryptography.x509 import Certificate

from mox import logfmt
from mox.config.transport import SMTPAuth
from mox.errors import MoxError
from mox.queue import metrics
from mox.queue.verdict import Verdict, of_reply, short_code
from mox.sasl.client import choose, mechanism
from mox.serving.errors import ConnectionLost, ConnectionTimeout
from mox.serving.stream import Stream
from mox.smtp.client import Client, ClientConfig
from mox.smtp.clientevents import (
    Authenticated,
    ClientEvent,
    Done,
    Failed,
    GoTLS,
    Greeted,
    Lost,
    Message,
    QuitDone,
    Ready,
    Replied,
    ResetDone,
    SendMessage,
)
from mox.smtp.extensions import Extensions
from mox.tlsio.client import ClientContext
from mox.tlsio.errors import TLSError
from mox.tlsio.session import TLSSession
from mox.tlspolicy import handshake
from mox.tlspolicy.handshake import Checked
from mox.tlspolicy.policy import TLSMode, TLSPolicy
from mox.tlspolicy.report import Problem

log = logfmt.logger("smtpclient")

IO_TIMEOUT_S: Final = 30.0
CONNECTION_LIFE_S: Final = 1800.0
QUIT_TIMEOUT_S: Final = 5.0
# A connection is not used for new transactions after this: hosts and their addresses change.
REUSE_S: Final = 300.0
# Of a greeting, in reports.
_MAX_GREETING: Final = 256

_NOT_OFFERED: Final = (handshake.NOT_OFFERED,)

E = TypeVar("E", Greeted, Ready, GoTLS, Authenticated, ResetDone)


class SessionFailed(MoxError):
    """There is no session, or no more; `verdict` is that for the messages that need it.

    `tls`: it failed because of TLS.
    """

    def __init__(self, verdict: Verdict, *, tls: bool = False) -> None:
        super().__init__(verdict.error)
        self.verdict = verdict
        self.tls = tls


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """How to begin a session. `host` is the name that the certificate must be for.

    `now`: seconds since the epoch, for what certificates say of time.
    """

    hostname: str  # ours, for EHLO
    host: str
    tls: TLSPolicy
    now: float
    context: ClientContext | None = None  # None: no TLS whatever the policy says
    auth: SMTPAuth | None = None
    require_8bitmime: bool = False


class Session:
    """See the module. `open` comes first.

    After it, also when it failed: `tls_problems` is what went wrong with TLS itself, `checked`
    what the server's certificates are worth, `greeting` the text of its first reply.
    """

    def __init__(self, stream: Stream, setup: Setup) -> None:
        self.stream = stream
        self.setup = setup
        self.transactions = 0
        self.sent_content = False  # in the transaction that ended last
        self._client = Client(ClientConfig(setup.hostname, require_8bitmime=setup.require_8bitmime))
        self._born = time.monotonic()
        self._needs_reset = False
        self._is_at_rest = False  # nothing is under way: there may be a next command
        self._asked = self._born
        self._problem = ""  # why it ended, where we know better than the machine
        self._timed_out = False
        self._tls_error = ""
        self.tls_problems: tuple[Problem, ...] = ()
        self.checked = Checked()
        self.greeting = ""
        self._log = log.bind(host=setup.host, remote_ip=stream.remote_ip)

    def open(self) -> None:
        """Do all that comes before the first transaction; closes the stream when it fails.

        Raises SessionFailed.
        """
        try:
            self._begin()
        except BaseException:
            self.stream.close()
            raise
        self._is_at_rest = True

    @property
    def extensions(self) -> Extensions:
        return self._client.extensions

    @property
    def has_tls(self) -> bool:
        return self._client.has_tls

    @property
    def tls_success(self) -> bool | None:
        """Whether TLS was agreed and good enough; None: it was neither offered nor asked for."""
        if self.checked.failure or (self.tls_problems and self.tls_problems != _NOT_OFFERED):
            return False
        return True if self.has_tls else None

    @property
    def tls_mode(self) -> str:
        return self.setup.tls.mode.value if self.has_tls else TLSMode.NONE.value

    @property
    def is_usable(self) -> bool:
        """Whether another transaction may begin."""
        limit = self.extensions.mail_max
        return (
            self._client.is_usable
            and not self._problem
            and time.monotonic() - self._born < REUSE_S
            and (limit is None or self.transactions < limit)
        )

    # ---- the beginning

    def _begin(self) -> None:
        setup = self.setup
        if setup.context is not None and setup.tls.mode is TLSMode.IMMEDIATE:
            self._handshake(setup.context)
        self.greeting = " ".join(self._expect(Greeted).reply.lines)[:_MAX_GREETING]
        self._hello()
        if self._wants_starttls():
            self._starttls()
            self._hello_again()
        if setup.auth is not None:
            self._authenticate(setup.auth)

    def _hello(self) -> None:
        self._client.hello()
        self._expect(Ready)

    def _hello_again(self) -> None:
        try:
            self._hello()
        except SessionFailed as e:
            # RFC 8446 §4.4.2.4: a server can refuse after we think that all is well.
            if handshake.alert_of(self._tls_error) is None:
                raise
            self.tls_problems = (handshake.of_tls_error(self._tls_error),)
            raise SessionFailed(e.verdict, tls=True) from e

    def _wants_starttls(self) -> bool:
        mode = self.setup.tls.mode
        if self.setup.context is None:
            return False
        if mode is TLSMode.OPPORTUNISTIC and not self.extensions.starttls:
            self.tls_problems = _NOT_OFFERED
            return False
        # RFC 7672 §2.2, RFC 8461 §5: where there must be TLS, an answer without it is no excuse.
        return mode in (TLSMode.REQUIRED, TLSMode.OPPORTUNISTIC)

    def _starttls(self) -> None:
        context = self.setup.context
        assert context is not None
        self._client.start_tls()
        try:
            self._expect(GoTLS)
        except SessionFailed as e:
            # RFC 3207 §4.1: it may work another time; no reason to give up mail.
            code = e.verdict.code
            self.tls_problems = (handshake.of_refusal(code) if code else self._broke_off(),)
            raise SessionFailed(e.verdict.as_temporary(), tls=True) from e
        self._handshake(context)

    def _handshake(self, context: ClientContext) -> None:
        setup = self.setup
        name = setup.tls.names[0] if setup.tls.names else setup.host
        try:
            tls = self.stream.start_tls_client(context, name, verified_name=setup.host)
            chain = tls.peer_chain()
        except (TLSError, ConnectionLost, ConnectionTimeout) as e:
            self._timed_out = isinstance(e, ConnectionTimeout)
            is_tls = isinstance(e, TLSError)
            self.tls_problems = (handshake.of_tls_error(str(e)) if is_tls else self._broke_off(),)
            verdict = Verdict(error=f"TLS: {e}", timed_out=self._timed_out)
            raise SessionFailed(verdict, tls=True) from e
        self._check_chain(tls, chain)
        self._client.tls_started()

    def _check_chain(self, tls: TLSSession, chain: Sequence[Certificate]) -> None:
        verification = tls.verification()
        assert verification is not None, "of a client's session"
        when = datetime.fromtimestamp(self.setup.now, UTC)
        self.checked = handshake.check(self.setup.tls, verification, chain, when)
        if self.setup.tls.tlsa:
            metrics.DANE_VERIFIED.inc()
            if self.checked.record is None:
                metrics.DANE_MISMATCHES.inc()
        if self.checked.failure:
            # RFC 3463 §3.8: 7.5, cryptographic failure.
            verdict = Verdict(secode="7.5", error=f"TLS: {self.checked.failure}")
            raise SessionFailed(verdict, tls=True)

    def _broke_off(self) -> Problem:
        return handshake.TIMEOUT if self._timed_out else handshake.CLOSED

    def _authenticate(self, auth: SMTPAuth) -> None:
        binding = self._binding if self.has_tls else None
        announced = self.extensions.auth
        name = choose(announced, auth.allowed_mechanisms, binding)
        if name is None:
            text = f"server offers none of our authentication mechanisms: {' '.join(announced)}"
            raise SessionFailed(Verdict(error=text))
        exchange = mechanism(
            name,
            auth.username,
            auth.password,
            announced=announced,
            binding=binding,
            random=os.urandom,
        )
        self._client.authenticate(exchange)
        try:
            self._expect(Authenticated, kind="auth")
        except SessionFailed as e:
            # A password that is wrong today is no reason to give up the mail of all users.
            raise SessionFailed(e.verdict.as_temporary()) from e

    def _binding(self, kind: str) -> bytes | None:
        match kind:
            case "tls-exporter":
                return self.stream.channel_binding("tls-exporter")
            case "tls-unique":
                return self.stream.channel_binding("tls-unique")
        return None

    # ---- transactions

    def transact(self, message: Message, content: Iterable[bytes]) -> Done:
        """Do one transaction; what goes wrong is in the result.

        Raises Unsendable when the server cannot take the message, SessionFailed when the session
        had ended before, BadMessage and StoreError of the content: then the session has ended.
        """
        self.reset_if_needed()
        self._check()
        self.sent_content = False
        self._client.transact(message)
        self._is_at_rest = False
        self.transactions += 1
        while True:
            event = self._next()
            match event:
                case SendMessage():
                    self._send_content(content)
                case Done():
                    self._needs_reset = event.needs_reset
                    self._is_at_rest = True
                    return replace(event, problem=self._problem or event.problem)

    def _send_content(self, content: Iterable[bytes]) -> None:
        try:
            for chunk in content:
                if not self._flush("data"):
                    return
                self._client.send(chunk)
            self._client.finish()
        except MoxError as e:
            # In the middle of a message there is no other way to take it back.
            self._problem = str(e)
            self.stream.close()
            raise
        # From here on the server may have taken it, whatever we hear.
        self.sent_content = True
        self._flush("data")

    def reset_if_needed(self) -> None:
        """Make the server forget a transaction that failed. Raises SessionFailed."""
        if self._needs_reset:
            self._check()
            self._needs_reset = self._is_at_rest = False
            self._client.reset()
            self._expect(ResetDone)
            self._is_at_rest = True

    def _check(self) -> None:
        if not self._client.is_usable or self._problem:
            raise SessionFailed(self._verdict_of_end("connection has ended"))

    # ---- the end

    def close(self) -> None:
        """Say goodbye, if there is anybody, and close. Never raises."""
        if self._is_at_rest and self._client.is_usable and not self._problem:
            self._quit()
        self.stream.close()

    def _quit(self) -> None:
        self._client.quit()
        for event in self._events(QUIT_TIMEOUT_S):
            if isinstance(event, QuitDone | Lost):
                return

    # ---- events

    def _expect(self, kind_of_event: type[E], kind: logfmt.Kind = "line") -> E:
        """Return the next event of this type. Raises SessionFailed on failures."""
        for event in self._events(IO_TIMEOUT_S, kind):
            if isinstance(event, kind_of_event):
                return event
            if isinstance(event, Failed):
                raise SessionFailed(_of_failed(event))
            if isinstance(event, Lost):
                raise SessionFailed(self._verdict_of_end(event.reason))
        raise AssertionError("events end with one of these")

    def _next(self) -> ClientEvent:
        return next(self._events(IO_TIMEOUT_S))

    def _events(self, timeout_s: float, kind: logfmt.Kind = "line") -> Iterator[ClientEvent]:
        while True:
            event = self._client.next_event()
            if isinstance(event, Replied):
                self._observe(event)
            elif event is not None:
                yield event
            elif self._client.is_usable:
                self._flush(kind)
                self._receive(timeout_s, kind)
            else:
                # Asked of a machine that has reported its end before.
                yield Lost("connection has ended")

    def _observe(self, event: Replied) -> None:
        reply = event.reply
        timer = metrics.command(event.command, reply.code, short_code(reply))
        timer.observe(time.monotonic() - self._asked)

    def _flush(self, kind: logfmt.Kind = "line") -> bool:
        """Send what there is to send; false when the connection does not take it any more."""
        data = self._client.data_to_send()
        if not data:
            return True
        if self._log.trace_enabled():
            self._log.trace_protocol("C: ", data, kind)
        self._asked = time.monotonic()
        try:
            self.stream.send(data, min(IO_TIMEOUT_S, self._time_left()))
        except (ConnectionLost, ConnectionTimeout):
            # Still receive: the server may have said why before it closed.
            return False
        return True

    def _receive(self, timeout_s: float, kind: logfmt.Kind) -> None:
        data = b""
        try:
            data = self.stream.recv(min(timeout_s, self._time_left()))
        except (ConnectionLost, ConnectionTimeout) as e:
            self._problem = str(e)
            self._timed_out = isinstance(e, ConnectionTimeout)
            if isinstance(e.__cause__, TLSError):
                self._tls_error = e.__cause__.reason
        if self._log.trace_enabled():
            self._log.trace_protocol("S: ", data, kind)
        self._client.receive(data)

    def _verdict_of_end(self, reason: str) -> Verdict:
        return Verdict(error=self._problem or reason, timed_out=self._timed_out)

    @property
    def timed_out(self) -> bool:
        """Whether the session ended because the server was silent."""
        return self._timed_out

    def _time_left(self) -> float:
        return max(0.0, self._born + CONNECTION_LIFE_S - time.monotonic())


def _of_failed(event: Failed) -> Verdict:
    verdict = of_reply(event.reply)
    if event.detail:
        return replace(verdict, error=f"{event.detail} ({verdict.error})", permanent=False)
    return verdict
