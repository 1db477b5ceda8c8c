"""Rules for mail from users: login first, own addresses only, then into the queue (RFC 6409)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from mox.address import Path
from mox.config.lookup import Lookup
from mox.delivery import replies, special, submission
from mox.delivery.recipients import refuse_outgoing
from mox.delivery.special import Stage
from mox.delivery.submission import Refusal, Submitted
from mox.delivery.submit import Submission as Outgoing
from mox.delivery.submit import submit
from mox.mailauth.dkimsign import SigningFailed
from mox.sasl.outcome import Challenge
from mox.serving.login import LoggedIn
from mox.smtp.config import FUTURE_RELEASE_MAX_S, ServerConfig
from mox.smtp.events import Auth, AuthResponse, Hello, MailFrom, RcptTo
from mox.smtp.reply import Reply
from mox.smtpd import metrics
from mox.smtpd.auth import Logins
from mox.smtpd.incoming import LOGGED_RECIPIENTS
from mox.smtpd.link import Link
from mox.smtpd.transaction import Transaction
from mox.store.errors import StoreError
from mox.store.outgoing import FromIdTaken
from mox.store.sent_log import SendLimitReached
from mox.turns import in_turns

if TYPE_CHECKING:
    from mox.store.outgoing_records import QueueId

NOT_SIGNED: Final = Reply(451, "4.3.0", "message cannot be signed, try again later")
NOT_YOURS: Final = Reply(550, "5.7.1", "must match authenticated user")


class Submission:
    """Ports 587 and 465. One object per connection."""

    kind = "submit"

    def __init__(self, link: Link) -> None:
        self._link = link
        self._ctx = link.services.ctx
        self._logins = Logins(link)

    def server_config(self) -> ServerConfig:
        link = self._link
        return ServerConfig(
            kind="submission",
            hostname=link.hostname.ascii,
            session_id=link.id,
            max_size=link.listener.smtp_max_message_size,
            starttls=link.conn.tls_context is not None and not link.conn.listen.implicit_tls,
            requiretls=True,
            auth=self._logins.mechanisms,
            auth_after_tls=self._logins.mechanisms_after_tls,
            auth_required=True,
            dsn=True,
            future_release_s=FUTURE_RELEASE_MAX_S,
            pedantic=self._ctx.config.static.pedantic,
        )

    def tls_started(self) -> None:
        self._logins.tls_started()

    def hello(self, event: Hello) -> Reply | None:
        """Accept any: what a laptop calls itself means nothing."""
        return None

    def auth(self, event: Auth | AuthResponse) -> Challenge | Reply | None:
        return self._logins.step(event)

    def auth_ended(self, reply: Reply) -> None:
        self._logins.ended(reply)

    @property
    def _user(self) -> LoggedIn:
        user = self._logins.user
        assert user is not None, "the machine demands AUTH before MAIL"
        return user

    def mail(self, transaction: Transaction[Path]) -> Reply | None:
        path = transaction.mail.path
        refusal = self._link.refuse_failing()
        if refusal is None and not path.is_null:
            refusal = self._refuse_sender(transaction.config.lookup, path)
        if refusal is None and self._ctx.localserve:
            refusal = self._link.pretend(special.failure_at(Stage.MAIL, path.localpart))
        return refusal

    def _refuse_sender(self, lookup: Lookup, path: Path) -> Reply | None:
        # RFC 6409 §6.1: an MSA may refuse a reverse path that is not the user's.
        if path.address is None or not lookup.may_send_as(self._user.account, path.address):
            return NOT_YOURS
        if lookup.is_disabled(path.address.domain):
            return replies.DISABLED_SENDER
        return None

    def rcpt(self, transaction: Transaction[Path], event: RcptTo) -> Reply | None:
        localserve = self._ctx.localserve
        refusal = refuse_outgoing(transaction.config, event.path, localserve=localserve)
        if refusal is None and localserve:
            refusal = self._link.pretend(special.failure_at(Stage.RCPT, event.path.localpart))
        if refusal is None:
            path = event.path
            # RFC 5321 §4.5.1: <postmaster> without domain is ours.
            complete = (
                path if path.domain is not None else Path(path.localpart, self._link.hostname)
            )
            transaction.recipients.append(complete)
            transaction.requests.append(event.request)
        return refusal

    def message(self, transaction: Transaction[Path]) -> Reply:
        """Queue a complete message for all its recipients; the reply is true by then."""
        began = time.perf_counter()
        self._link.failed += 1
        reply, result, ids = self._submit(transaction)
        metrics.SUBMISSIONS.labels(result).inc()
        if ids:
            self._link.failed -= 1
            self._link.accepted += 1
        self._log(transaction, reply, result, ids, began)
        return reply

    def _submit(self, transaction: Transaction[Path]) -> tuple[Reply, str, list[QueueId]]:
        if self._ctx.localserve:
            for path in transaction.recipients:
                refusal = self._link.pretend(special.failure_at(Stage.DATA, path.localpart))
                if refusal is not None:
                    return refusal, "localserveerror", []
        try:
            prepared = self._prepare(transaction)
            if isinstance(prepared, Refusal):
                return prepared.reply, prepared.result, []
            return replies.DELIVERED, "ok", submit(self._ctx.store, prepared)
        except SendLimitReached as e:
            result = "recipientlimiterror" if e.first_time else "messagelimiterror"
            return Reply(451, "4.7.1", str(e)), result, []
        except FromIdTaken as e:
            return Reply(554, "5.1.7", f"bad fromid: {e.text}"), "badmessage", []
        except StoreError as e:
            self._link.log.error("queueing submitted message", err=e)
            return replies.from_store(e), "queueerror", []
        except SigningFailed as e:
            # Receivers would distrust it without a signature: the client is to keep it.
            metrics.ERRORS.labels("dkimsign").inc()
            self._link.log.error("signing submitted message", err=e)
            return NOT_SIGNED, "error", []

    def _prepare(self, transaction: Transaction[Path]) -> Outgoing | Refusal:
        return submission.prepare(
            transaction.config,
            self._submitted(transaction),
            localserve=self._ctx.localserve,
            run=in_turns,
        )

    def _submitted(self, transaction: Transaction[Path]) -> Submitted:
        mail, spool = transaction.mail, transaction.spool
        assert spool is not None, "DATA came before"
        return Submitted(
            account=self._user.account,
            login_address=self._user.login_address,
            reverse_path=mail.path,
            recipients=transaction.recipients,
            spool=spool,
            received=self._link.received(mail, authenticated=True),
            smtputf8=mail.smtputf8,
            eightbitmime=mail.body == "8BITMIME",
            requiretls=mail.requiretls,
            not_before=_not_before(mail),
            future_release=mail.hold,
            requests=transaction.requests,
            ret=mail.ret,
            envid=mail.envid,
        )

    def _log(
        self,
        transaction: Transaction[Path],
        reply: Reply,
        result: str,
        ids: list[QueueId],
        began: float,
    ) -> None:
        recipients = transaction.recipients
        self._link.log.info(
            "message queued" if ids else "submission refused",
            account=self._user.account,
            mailfrom=transaction.mail.path,
            rcptto=[str(path) for path in recipients[:LOGGED_RECIPIENTS]],
            recipients=len(recipients),
            queue_id=ids[0] if ids else None,
            code=reply.code,
            reason=result,
            size=transaction.spool.size if transaction.spool else 0,
            duration_ms=round((time.perf_counter() - began) * 1000, 1),
        )


def _not_before(mail: MailFrom) -> float:
    """Return when FUTURERELEASE allows the first attempt, 0 for at once."""
    if mail.hold_for_s is not None:
        return time.time() + mail.hold_for_s
    if mail.hold_until is not None:
        return mail.hold_until.timestamp()
    return 0.0
