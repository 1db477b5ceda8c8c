"""One connection to another server: the client machine on a stream, with time limits and traces.

A `Session` that exists has been greeted, has TLS as its host asks for and is logged in. It carries
any number of transactions, one after the other, until `is_usable` is false.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from mox import logfmt
from mox.config.transport import SMTPAuth
from mox.errors import MoxError
from mox.queue import metrics
from mox.queue.policy import TLSMode, TLSPolicy
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

log = logfmt.logger("smtpclient")

IO_TIMEOUT_S: Final = 30.0
CONNECTION_LIFE_S: Final = 1800.0
QUIT_TIMEOUT_S: Final = 5.0
# A connection is not used for new transactions after this: hosts and their addresses change.
REUSE_S: Final = 300.0

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
    """How to begin a session. `host` is the name that the certificate must be for."""

    hostname: str  # ours, for EHLO
    host: str
    tls: TLSPolicy
    context: ClientContext | None = None  # None: no TLS whatever the policy says
    auth: SMTPAuth | None = None
    require_8bitmime: bool = False


class Session:
    """See the module. Made by `Session.begin`."""

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
        self._log = log.bind(host=setup.host, remote_ip=stream.remote_ip)

    @classmethod
    def begin(cls, stream: Stream, setup: Setup) -> Session:
        """Do all that comes before the first transaction; closes the stream when it fails.

        Raises SessionFailed.
        """
        session = cls(stream, setup)
        try:
            session._begin()
        except BaseException:
            stream.close()
            raise
        session._is_at_rest = True
        return session

    @property
    def extensions(self) -> Extensions:
        return self._client.extensions

    @property
    def has_tls(self) -> bool:
        return self._client.has_tls

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
        self._expect(Greeted)
        self._hello()
        if self._wants_starttls():
            self._starttls()
            self._hello()
        if setup.auth is not None:
            self._authenticate(setup.auth)

    def _hello(self) -> None:
        self._client.hello()
        self._expect(Ready)

    def _wants_starttls(self) -> bool:
        mode = self.setup.tls.mode
        if self.setup.context is None:
            return False
        return mode is TLSMode.REQUIRED or (
            mode is TLSMode.OPPORTUNISTIC and self.extensions.starttls
        )

    def _starttls(self) -> None:
        context = self.setup.context
        assert context is not None
        self._client.start_tls()
        try:
            self._expect(GoTLS)
        except SessionFailed as e:
            # RFC 3207 §4.1: it may work another time; no reason to give up mail.
            raise SessionFailed(e.verdict.as_temporary(), tls=True) from e
        self._handshake(context)

    def _handshake(self, context: ClientContext) -> None:
        try:
            self.stream.start_tls_client(context, self.setup.host)
        except (TLSError, ConnectionLost, ConnectionTimeout) as e:
            verdict = Verdict(error=f"TLS: {e}", timed_out=isinstance(e, ConnectionTimeout))
            raise SessionFailed(verdict, tls=True) from e
        self._client.tls_started()

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
