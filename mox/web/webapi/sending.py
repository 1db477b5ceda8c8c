"""Send: a message composed from a request, into the queue, and into the Sent mailbox."""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from mox import __version__, metrics
from mox.address import Address, parse_domain
from mox.delivery import composing, content, plans
from mox.delivery.submit import Once, submit
from mox.errors import UserError
from mox.mailauth.dkimsign import SigningFailed
from mox.message.compose import Draft
from mox.message.composebodies import File
from mox.message.ids import message_id
from mox.store import idempotency
from mox.store.errors import ErrorKind, StoreError
from mox.store.idempotency import Answer, Repeated
from mox.store.model import Flag, Target
from mox.store.sent_log import SendLimitReached
from mox.web.webapi import addressing
from mox.web.webapi.errors import CallError
from mox.web.webapi.sizes import check_sizes
from mox.webapi.types import (
    IDEMPOTENCY_WINDOW_S,
    MAX_FUTURE_RELEASE_S,
    Error,
    ErrorCode,
    SendRequest,
    SendResult,
    Submission,
)
from mox.webapi.types import File as GivenFile

if TYPE_CHECKING:
    from prometheus_client import Counter

    from mox.store.outgoing_records import QueueId
    from mox.store.spool import Spool
    from mox.web.webapi.call import Call
    from mox.webapi.types import NameAddress

_SUBMISSIONS: Final = metrics.counter(
    "mox_webapi_submission_total", "Messages given to the webapi to send, by result.", ("result",)
)
_ERRORS: Final = metrics.counter(
    "mox_webapi_errors_total", "Failures of the server at sending, by where.", ("error",)
)
_RESULTS: Final = {
    ErrorCode.BAD_FROM: "badfrom",
    ErrorCode.DOMAIN_DISABLED: "badfrom",
    ErrorCode.MESSAGE_LIMIT_REACHED: "messagelimiterror",
    ErrorCode.RECIPIENT_LIMIT_REACHED: "recipientlimiterror",
    ErrorCode.MESSAGE_TOO_LARGE: "messagetoolarge",
    ErrorCode.SENT_OVER_QUOTA: "sentoverquota",
}
_LOGGED_RECIPIENTS: Final = 10
_LOGGED_CHARS: Final = 200  # of an address
_USER_AGENT: Final = f"mox/{__version__}"
_encode = msgspec.json.Encoder().encode


def send(call: Call, request: SendRequest) -> SendResult | Answer:
    """Send a message; an Answer is the one that the first request with the key got.

    Raises CallError, and StoreError when nothing was sent.
    """
    sending = _Sending(call, request)
    result, problem = "error", ""
    try:
        answer = sending.run()
        result = "repeated" if isinstance(answer, Answer) else "ok"
        return answer
    except CallError as e:
        result, problem = _RESULTS.get(e.code, "badmessage"), e.message
        raise
    except StoreError as e:
        result, problem = "queueerror", e.text
        _ERRORS.labels("submit").inc()
        raise
    except SigningFailed as e:
        problem = str(e)
        _ERRORS.labels("dkimsign").inc()
        call.log.error("signing a message", account=call.login.account, err=e)
        text = "message cannot be signed, try again later"
        raise CallError(ErrorCode.SERVER, text) from e
    finally:
        _count(result).inc()
        sending.log(result, problem)


@lru_cache(maxsize=32)
def _count(result: str) -> Counter:
    return _SUBMISSIONS.labels(result)


class _Sending:
    """One request to send."""

    def __init__(self, call: Call, request: SendRequest) -> None:
        self._call = call
        self._request = request
        self._now = time.time()
        self._began = time.perf_counter()
        self._digest = _digest(call, request) if call.idempotency_key else b""
        self._ids: Sequence[QueueId] = ()
        self._size = 0

    def run(self) -> SendResult | Answer:
        call, request = self._call, self._request
        if call.idempotency_key:
            known = idempotency.find(
                call.store, call.login.account_id, call.idempotency_key, self._now
            )
            if known is not None:
                return self._repeated(known)
        draft = self._draft()
        with call.store.spool() as spool:
            written = self._write(draft, spool)
            self._size = spool.size
            try:
                ids = submit(call.store, written.submission, self._now, self._once(written))
            except Repeated as e:
                return self._repeated(e.answer)
            except SendLimitReached as e:
                raise _limit_reached(e) from e
            self._ids = ids
            if request.save_sent:
                self._save_sent(spool, written.own_prefix)
        return self._answer(ids, written)

    def log(self, result: str, problem: str) -> None:
        """Write the line about the request; whatever it came to, `_ids` says if it was sent."""
        request = self._request
        everyone = (*request.to, *request.cc, *request.bcc)
        sender = request.from_[0].address if request.from_ else self._call.login.login_address
        self._call.log.info(
            "message queued" if self._ids else "submission refused",
            account=self._call.login.account,
            mailfrom=sender[:_LOGGED_CHARS],
            rcptto=[each.address[:_LOGGED_CHARS] for each in everyone[:_LOGGED_RECIPIENTS]],
            recipients=len(everyone),
            queue_id=self._ids[0] if self._ids else None,
            reason=result,
            err=problem or None,
            size=self._size,
            duration_ms=round((time.perf_counter() - self._began) * 1000, 1),
        )

    # ---- what is asked for

    def _draft(self) -> Draft:
        request, config, login = self._request, self._call.config, self._call.login
        account_config = self._call.account_config
        if not request.text and not request.html:
            raise CallError(ErrorCode.MISSING_BODY, "at least text or html body required")
        if len(request.from_) > 1:
            raise CallError(ErrorCode.MULTIPLE_FROM, "multiple from-addresses not allowed")
        check_sizes(request)
        authors = addressing.parse_all(request.from_)
        to, cc, bcc = map(addressing.parse_all, (request.to, request.cc, request.bcc))
        author = authors[0] if authors else self._own_address(account_config.full_name)
        try:
            composing.check_author(config, login.account, author[1])
        except composing.ForeignAuthor as e:
            raise CallError(ErrorCode.BAD_FROM, str(e)) from e
        except composing.DisabledDomain as e:
            raise CallError(ErrorCode.DOMAIN_DISABLED, str(e)) from e
        if not (to or cc or bcc):
            raise CallError(ErrorCode.NO_RECIPIENTS, "no recipients")
        reply_to = addressing.parse_all(request.reply_to)
        given = request.message_id
        if given and not (given.startswith("<") and given.endswith(">")):
            raise CallError(ErrorCode.MALFORMED_MESSAGE_ID, "missing <> in message-id")
        return Draft(
            author=author,
            to=to,
            cc=cc,
            bcc=bcc,
            reply_to=reply_to,
            subject=request.subject,
            date=_moment(request.date, self._now),
            message_id=given or f"<{message_id(config.static.hostname)}>",
            references=request.references,
            headers=request.headers,
            user_agent=_USER_AGENT,
            plain=request.text,
            html=request.html,
            alternative_files=self._files("alternative_files", request.alternative_files),
            inline_files=self._files("inline_files", request.inline_files),
            attached_files=self._files("attached_files", request.attached_files),
            boundary=secrets.token_hex(16),
        )

    def _own_address(self, name: str) -> tuple[str, Address]:
        return name, addressing.parse(self._call.login.login_address)

    def _files(self, field: str, given: Sequence[GivenFile]) -> list[File]:
        """Return the files of the JSON, then those that were uploaded."""
        files = [
            File(
                content=_decoded(each.data),
                name=each.name,
                content_type=each.content_type,
                content_id=each.content_id,
            )
            for each in given
        ]
        return [*files, *(each.file for each in self._call.uploads if each.field == field)]

    # ---- what is done

    def _write(self, draft: Draft, spool: Spool) -> composing.Written:
        call, request = self._call, self._request
        http, tls = call.http, call.http.tls
        listener = call.config.static.listeners[http.listener]
        origin = composing.Origin(
            account=call.login.account,
            login_address=call.login.login_address,
            hostname=parse_domain(listener.hostname or call.config.static.hostname),
            id=call.surroundings.received_ids.encode(http.cid),
            tls="" if tls is None else f"{tls.version.replace('TLSv', 'TLS')} {tls.cipher}",
            when=self._now,
        )
        options = composing.Options(
            require_tls=request.require_tls,
            extra=request.extra,
            not_before=self._not_before,
            future_release=_until(self._not_before) if self._not_before > self._now else "",
        )
        max_size = listener.smtp_max_message_size
        try:
            written = composing.write(
                call.config, origin, draft, options, spool, call.store.pool, max_size=max_size
            )
        except composing.TooLarge as e:
            raise CallError(ErrorCode.MESSAGE_TOO_LARGE, str(e)) from e
        except UserError as e:
            raise CallError(ErrorCode.USER, str(e)) from e
        if self._not_before > self._now + MAX_FUTURE_RELEASE_S:
            hours = MAX_FUTURE_RELEASE_S // 3600
            text = f"date/time can not be further than {hours}h0m0s in the future"
            raise CallError(ErrorCode.USER, f"scheduling delivery: {text}")
        return written

    @property
    def _not_before(self) -> float:
        when = self._request.future_release
        return 0.0 if when is None else when.timestamp()

    def _save_sent(self, spool: Spool, prefix: bytes) -> None:
        """Keep a copy. The message is sent by now: only what the caller can mend is an error."""
        call = self._call
        account = call.account
        mailboxes = account.mailboxes()
        sent = next((box for box in mailboxes if "\\Sent" in box.special_use), None)
        if sent is None:
            return
        target = Target(
            account=account,
            mailbox=sent.name,
            prefix=prefix,
            received=(int(self._now), 0),
            flags=Flag.SEEN,
            quota=plans.quota(call.config, account.name),
            marks=content.marks(call.account_config),
        )
        try:
            (saved,) = call.store.deliver([target], spool)
        except StoreError as e:
            saved = e
        if not isinstance(saved, StoreError):
            return
        if saved.kind is ErrorKind.OVER_QUOTA:
            text = "message was sent, but not saved in sent mailbox: account over quota"
            raise self._kept(CallError(ErrorCode.SENT_OVER_QUOTA, text))
        call.log.error("saving copy of sent message", account=account.name, err=saved)

    # ---- what is answered

    def _answer(self, ids: Sequence[QueueId], written: composing.Written) -> SendResult:
        request, submission = self._request, written.submission
        given: tuple[NameAddress, ...] = (*request.to, *request.cc, *request.bcc)
        return SendResult(
            message_id=submission.message_id,
            submissions=tuple(
                Submission(address=address.address, queue_msg_id=id, from_id=recipient.from_id)
                for address, id, recipient in zip(given, ids, submission.recipients, strict=True)
            ),
        )

    def _once(self, written: composing.Written) -> Once | None:
        if not self._call.idempotency_key:
            return None

        def answer(ids: Sequence[QueueId]) -> Answer:
            return self._answer_to_keep(_encode(self._answer(ids, written)))

        return Once(self._call.idempotency_key, answer)

    def _answer_to_keep(self, body: bytes, *, is_error: bool = False) -> Answer:
        until = self._now + IDEMPOTENCY_WINDOW_S
        return Answer(digest=self._digest, body=body, is_error=is_error, until=until)

    def _kept(self, error: CallError) -> CallError:
        """Remember an error as the answer: the message was sent, and must not be again."""
        call = self._call
        if call.idempotency_key:
            body = _encode(Error(code=error.code, message=error.message))
            answer = self._answer_to_keep(body, is_error=True)
            id, key, now = call.login.account_id, call.idempotency_key, self._now
            call.store.write(lambda txn: idempotency.keep(txn, id, key, answer, now))
        return error

    def _repeated(self, known: Answer) -> Answer:
        if known.digest != self._digest:
            raise CallError(
                ErrorCode.IDEMPOTENCY_KEY_REUSED,
                "the idempotency key was used for another request already",
            )
        return known


def _limit_reached(error: SendLimitReached) -> CallError:
    code = (
        ErrorCode.RECIPIENT_LIMIT_REACHED if error.first_time else ErrorCode.MESSAGE_LIMIT_REACHED
    )
    return CallError(code, str(error))


def _digest(call: Call, request: SendRequest) -> bytes:
    """What two requests must have in common to be the same."""
    digest = hashlib.sha256(_encode((call.login.login_address, request)))
    for each in call.uploads:
        facts = (each.field, each.file.name, each.file.content_type, each.file.content_id)
        digest.update(_encode((facts, each.digest)))
    return digest.digest()


def _moment(given: datetime | None, now: float) -> tuple[int, int]:
    """Return a time as seconds since the epoch and minutes east of UTC."""
    if given is None:
        return int(now), 0
    offset = given.utcoffset()
    return int(given.timestamp()), 0 if offset is None else int(offset.total_seconds()) // 60


def _until(when: float) -> str:
    # RFC 4865 §5: as it would have been asked for by SMTP.
    return f"until;{datetime.fromtimestamp(when, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data, validate=True)
    except ValueError as e:
        raise CallError(ErrorCode.USER, f"parsing attachment as base64: {e}") from e
