"""Rules for mail from other servers: who may say MAIL and RCPT, and what happens at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mox.address import Path, parse_domain
from mox.config.lookup import ToAccount
from mox.delivery import incoming, special
from mox.delivery.ahead import Ahead
from mox.delivery.arrival import Arrival, Decided, Foreign, Outcome, Result
from mox.delivery.bounce import tell_sender
from mox.delivery.recipients import Recipient, resolve_incoming
from mox.delivery.special import Stage
from mox.mailauth.dkimsign import SigningFailed
from mox.mailauth.results import SPFStatus
from mox.smtp.config import ServerConfig
from mox.smtp.events import Auth, AuthResponse, Hello, RcptTo
from mox.smtp.reply import Reply
from mox.smtpd import metrics
from mox.smtpd.link import Link
from mox.smtpd.transaction import Transaction
from mox.store.errors import ErrorKind, StoreError
from mox.turns import let_begin

if TYPE_CHECKING:
    from mox.sasl.outcome import Challenge

NO_LITERAL_SENDERS: Final = Reply(550, "5.7.0", "no reply to ip addresses as sender")
ONE_FOR_NULL: Final = Reply(452, "4.5.3", "only one recipient allowed with null reverse path")
NO_SPF_PASS: Final = Reply(452, "4.5.3", "only one recipient allowed without spf pass")
NEEDS_TLS: Final = Reply(530, "5.7.0", "STARTTLS required for delivery")
# Results of recipients that have a client slowed down.
_HELD_UP: Final = frozenset({"reject", "highrate"})
# Recipients named in a log line.
LOGGED_RECIPIENTS: Final = 10
# Of what was found about a message.
LOGGED_DETAILS: Final = 1000


class Incoming:
    """Port 25. One object per connection."""

    kind = "deliver"

    def __init__(self, link: Link) -> None:
        self._link = link
        self._ctx = link.services.ctx
        self._ahead: Ahead | None = None  # of the last transaction

    def server_config(self) -> ServerConfig:
        link, smtp = self._link, self._link.listener.smtp
        return ServerConfig(
            kind="delivery",
            hostname=link.hostname.ascii,
            session_id=link.id,
            max_size=link.listener.smtp_max_message_size,
            starttls=link.conn.tls_context is not None and not smtp.no_starttls,
            requiretls=not smtp.no_require_tls,
            # Nobody is told anything by localserve.
            dsn=not self._ctx.localserve,
            pedantic=self._ctx.config.static.pedantic,
        )

    def tls_started(self) -> None:
        """Nothing here depends on it but the announcements."""

    def hello(self, event: Hello) -> Reply | None:
        if event.is_extended or event.domain is None or self._is_exempt:
            return None
        return self._link.services.senders.helo(event.domain)

    def auth(self, event: Auth | AuthResponse) -> Challenge | Reply | None:
        raise AssertionError("AUTH is not offered to other servers")

    def auth_ended(self, reply: Reply) -> None:
        """No login is ever going on here."""

    def mail(self, transaction: Transaction[Recipient]) -> Reply | None:
        path, services = transaction.mail.path, self._link.services
        refusal = self._link.refuse_failing()
        if refusal is None and not self._is_exempt:
            # Asked while the sender's domain is looked at, and while the client talks on.
            client = self._link.client(path)
            before, self._ahead = self._ahead, Ahead(services.checks, client, self._ahead)
            transaction.ahead = self._ahead
            if before is None:
                # Nothing is known of this client yet: the questions go out now.
                let_begin()
        refusal = refusal or self._refuse_sender(path)
        if refusal is not None:
            transaction.close()
        return refusal

    def _refuse_sender(self, path: Path) -> Reply | None:
        if path.is_null:
            return None
        if path.address is None:
            return NO_LITERAL_SENDERS
        domain, refusal = path.address.domain, None
        if not self._is_exempt and not (self._ctx.localserve and domain.ascii == "localhost"):
            refusal = self._link.services.senders.sender(domain)
        if refusal is None and self._ctx.localserve:
            refusal = self._link.pretend(special.failure_at(Stage.MAIL, path.localpart))
        return refusal

    @property
    def _is_exempt(self) -> bool:
        """A localserve instance does not ask DNS about programs here or in the same network."""
        return self._ctx.localserve and self._link.conn.remote_ip.is_private

    def rcpt(self, transaction: Transaction[Recipient], event: RcptTo) -> Reply | None:
        # RFC 5321 §4.5.5: notifications go to one sender.
        if transaction.mail.path.is_null and transaction.recipients:
            return ONE_FOR_NULL
        localserve = self._ctx.localserve
        found = resolve_incoming(transaction.config, event.path, localserve=localserve)
        if self._needs_tls(found):
            return NEEDS_TLS
        if isinstance(found, Reply):
            return found
        if localserve:
            failure = special.failure_at(Stage.RCPT, event.path.localpart)
            if failure is not None:
                return self._link.pretend(failure)
        if len(transaction.recipients) == 1 and not self._may_have_several(transaction):
            return NO_SPF_PASS
        transaction.recipients.append(replace(found, request=event.request))
        return None

    def _may_have_several(self, transaction: Transaction[Recipient]) -> bool:
        """Whether a sender can be told of recipients that failed: it must be who it says it is."""
        if transaction.ahead is None or transaction.mail.path.is_null:
            return True
        return transaction.ahead.spf().status is SPFStatus.PASS

    def _needs_tls(self, found: Recipient | Reply) -> bool:
        if self._link.has_tls or not self._link.listener.smtp.require_starttls:
            return False
        # RFC 8460 §3: reports about broken TLS must get through without TLS.
        to = found.to if isinstance(found, Recipient) else None
        return not (isinstance(to, ToAccount) and to.reports in ("tls", "tls-host"))

    def message(self, transaction: Transaction[Recipient]) -> Reply:
        """Deliver a complete message; the reply is true by then."""
        link, mail, spool = self._link, transaction.mail, transaction.spool
        assert spool is not None, "DATA came before"
        began = time.perf_counter()
        link.failed += 1
        arrival = Arrival(
            reverse_path=mail.path,
            recipients=tuple(transaction.recipients),
            spool=spool,
            received=link.received(mail, authenticated=False),
            has_8bit=mail.body == "8BITMIME",
            foreign=self._foreign(transaction),
            ret=mail.ret,
            envid=mail.envid,
        )
        result = incoming.deliver(
            self._ctx.store, transaction.config, arrival, localserve=self._ctx.localserve
        )
        if result.to_be_told and not mail.path.is_null:
            self._tell_sender(transaction, arrival, result.to_be_told)
        self._log(arrival, result, began)
        if result.delivered:
            link.failed -= 1
            link.accepted += 1
        elif any(outcome.result in _HELD_UP for outcome in result.outcomes):
            link.conn.slow = not self._ctx.localserve
        # The client may wait for long; the message need not stay in memory for that.
        transaction.close()
        link.wait(result.delay_s)
        return result.reply

    def _foreign(self, transaction: Transaction[Recipient]) -> Foreign:
        link, smtp = self._link, self._link.listener.smtp
        return Foreign(
            checks=link.services.checks,
            ahead=transaction.ahead,
            dns_blocklists=tuple(map(parse_domain, smtp.dnsbls)),
            first_time_delay_s=smtp.first_time_sender_delay.total_seconds(),
            is_exempt=self._is_exempt,
        )

    def _tell_sender(
        self, transaction: Transaction[Recipient], arrival: Arrival, outcomes: Sequence[Outcome]
    ) -> None:
        if self._ctx.localserve:
            self._link.log.info("not sending dsn in localserve", recipients=len(outcomes))
            return
        try:
            tell_sender(self._ctx.store, transaction.config, arrival, outcomes)
        except StoreError as e:
            # What was delivered cannot be taken back: better no notification than duplicates.
            metrics.ERRORS.labels("queuedsn").inc()
            self._link.log.error("queueing dsn about recipients", err=e)
        except SigningFailed as e:
            metrics.ERRORS.labels("dkimsign").inc()
            self._link.log.error("signing dsn about recipients", err=e)

    def _log(self, arrival: Arrival, result: Result, began: float) -> None:
        recipients = arrival.recipients
        errors = [outcome.error for outcome in result.outcomes if outcome.error is not None]
        for failure in {str(e) for e in errors if e.kind is not ErrorKind.OVER_QUOTA}:
            self._link.log.error("message cannot be stored", err=failure)
        for outcome in result.outcomes:
            for decided in outcome.decisions:
                self._log_decision(decided, result)
        self._link.log.info(
            "message delivered" if result.delivered else "message refused",
            mailfrom=arrival.reverse_path,
            rcptto=[str(recipient.path) for recipient in recipients[:LOGGED_RECIPIENTS]],
            recipients=len(recipients),
            delivered=result.delivered,
            code=result.reply.code,
            reason=result.outcomes[0].reason if result.outcomes else "loop",
            size=arrival.spool.size,
            msgid=result.facts.message_id,
            duration_ms=round((time.perf_counter() - began) * 1000, 1),
        )

    def _log_decision(self, decided: Decided, result: Result) -> None:
        """Say for one destination what was decided, and why."""
        decision, found = decided.decision, result.facts.authentication
        self._link.log.info(
            "delivery accepted" if decision.accept else "delivery rejected",
            account=decided.account,
            rcptto=decided.path,
            mailbox=decision.mailbox,
            reason=decision.reason,
            code=decision.reply.code if decision.reply else 250,
            reject=decision.is_reject,
            msgfrom=result.facts.header_from,
            validation=result.facts.validation,
            iprev=found and found.iprev.status,
            spf=found and found.spf.status,
            dkim=found and sorted({each.status for each in found.dkim}),
            dmarc=found and found.dmarc.status,
            detail="; ".join(decision.details)[:LOGGED_DETAILS],
        )
