"""One client as both sets of rules see it: the connection, who it says it is, what it is owed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from mox.address import Domain, Path, parse_domain
from mox.delivery.authenticate import Client
from mox.delivery.special import Failure
from mox.message.trace import Received, protocol_name
from mox.serving.stream import Stream
from mox.smtp.events import Hello, MailFrom
from mox.smtp.reply import Reply

if TYPE_CHECKING:
    from mox.config.listener import Listener
    from mox.logfmt import Logger
    from mox.serving.connection import Connection
    from mox.smtpd.services import Services

# So many messages may fail before one is accepted.
MAX_FAILED: Final = 10
TOO_MANY_FAILURES: Final = Reply(550, "5.1.0", "too many failures")


@dataclass(slots=True)
class Link:
    """Facts and counters of one connection. `hang_up`: close after the next reply."""

    services: Services
    conn: Connection
    listener: Listener
    id: str  # of the connection, as shown to the client
    log: Logger
    hello: Hello | None = None
    failed: int = field(default=0)  # messages received and not accepted
    accepted: int = field(default=0)
    hang_up: bool = False

    @property
    def hostname(self) -> Domain:
        """The name of this listener."""
        config = self.services.ctx.config
        return parse_domain(self.listener.hostname or config.static.hostname)

    @property
    def has_tls(self) -> bool:
        return self.conn.tls is not None

    def refuse_failing(self) -> Reply | None:
        """Refuse the next transaction of a client that never gets one right."""
        if self.failed <= MAX_FAILED or self.accepted:
            return None
        self.hang_up = True
        return TOO_MANY_FAILURES

    def wait(self, seconds: float) -> None:
        """Keep the client waiting for a reply; a process that is to end does not owe it longer."""
        if seconds:
            self.services.ctx.stopping.wait(seconds)

    def pretend(self, failure: Failure | None) -> Reply | None:
        """Do what a special localpart of localserve asks for."""
        if failure is None:
            return None
        if failure.delay_s:
            Stream.sleep(failure.delay_s)
        return Reply(failure.code, failure.enhanced, failure.text)

    def client(self, mail_from: Path) -> Client:
        """Return who wants to deliver, as message authentication sees it."""
        hello, conn = self.hello, self.conn
        assert hello is not None, "MAIL comes after EHLO"
        helo = hello.domain or hello.address or conn.remote_ip
        return Client(conn.remote_ip, helo, self.hostname, mail_from)

    def received(self, mail: MailFrom, *, authenticated: bool) -> Received:
        """Return the facts for the trace field of a message that is complete now."""
        hello = self.hello
        assert hello is not None, "MAIL comes after EHLO"
        conn, tls = self.conn, self.conn.tls
        return Received(
            helo=self.hostname
            if authenticated
            else hello.domain or hello.address or hello.name or conn.remote_ip,
            remote_ip=None if authenticated else conn.remote_ip,
            hostname=self.hostname,
            local_ip=conn.local_ip,
            protocol=protocol_name(
                extended=hello.is_extended,
                tls=tls is not None,
                authenticated=authenticated,
                smtputf8=mail.smtputf8,
            ),
            requiretls=mail.requiretls,
            id=self.id,
            tls="" if tls is None else f"{tls.version.replace('TLSv', 'TLS')} {tls.cipher}",
            when=int(time.time()),
            smtputf8=mail.smtputf8,
        )
