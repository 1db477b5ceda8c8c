"""AUTH on a submission connection: SASL exchanges, and their ends as replies (RFC 4954)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mox.sasl.outcome import Challenge, Reason
from mox.serving.clientcert import certified
from mox.serving.login import Client, Exchange, LoggedIn, LoginSession
from mox.serving.stream import Stream
from mox.smtp.events import Auth, AuthResponse
from mox.smtp.reply import Reply

if TYPE_CHECKING:
    from mox.smtpd.link import Link

_REPLIES: Final = {
    Reason.CREDENTIALS: (535, "5.7.8"),
    Reason.AUTHZID: (535, "5.7.8"),
    Reason.BINDING: (535, "5.7.7"),
    Reason.ENCODING: (535, "5.7.0"),
    Reason.MALFORMED: (501, "5.5.4"),
    Reason.PROTOCOL: (455, "4.7.0"),
    Reason.NEEDS_TLS: (538, "5.7.11"),
    Reason.DISABLED: (525, "5.7.13"),
    Reason.TRY_LATER: (454, "4.3.0"),
    Reason.LIMITED: (454, "4.7.0"),
}


class Logins:
    """The logins of one connection. `user` is set once one has worked."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._exchange: Exchange | None = None
        self._session = self._new_session()
        self.user: LoggedIn | None = None

    def _new_session(self) -> LoginSession:
        link = self._link
        known = certified(link.services.ctx, link.conn)
        client = Client(
            kind="submission",
            ip=link.conn.remote_ip,
            has_tls=link.has_tls,
            plaintext_allowed=link.listener.submission.no_require_starttls,
            announce_binding=link.listener.sasl_channel_binding,
            binding=self._binding,
            certificate=None if known is None else known.login,
        )
        return link.services.authenticator.session(client, link.log)

    def _binding(self, kind: str) -> bytes | None:
        conn = self._link.conn
        match kind:
            case "tls-exporter":
                return conn.channel_binding("tls-exporter")
            case "tls-unique":
                return conn.channel_binding("tls-unique")
        return None

    def tls_started(self) -> None:
        """Look at the connection again; failures still count."""
        failures = self._session.failures
        self._session = self._new_session()
        self._session.failures = failures

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return self._session.mechanisms()

    @property
    def mechanisms_after_tls(self) -> tuple[str, ...]:
        return self._session.mechanisms_after_tls()

    def step(self, event: Auth | AuthResponse) -> Challenge | Reply | None:
        """Go on with a login; None: the client is logged in."""
        if isinstance(event, Auth):
            if self._session.delay_s:
                Stream.sleep(self._session.delay_s)
            self._exchange = self._session.begin(event.mechanism)
            data = event.initial
        else:
            data = event.data
        assert self._exchange is not None, "a response follows AUTH"
        step = self._exchange.step(data)
        if isinstance(step, Challenge):
            return step
        self._exchange = None
        if isinstance(step, LoggedIn):
            self.user = step
            self._link.conn.slow = False
            return None
        self._link.conn.slow = self._session.is_slow
        code, enhanced = _REPLIES[step.reason]
        return Reply(code, enhanced, step.text)

    def ended(self, reply: Reply) -> None:
        """Take note that the protocol refused or ended an attempt: it counts as a failed one."""
        if self._exchange is not None:
            self._exchange.cancel()
            self._exchange = None
        elif reply.code in (501, 504):
            self._session.count_failure("unknown", "badprotocol")
        self._link.conn.slow = self._link.conn.slow or self._session.is_slow
