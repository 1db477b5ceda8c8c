"""What a user's program submits: checked, completed, signed, and queued (RFC 6409 §6, §8).

`prepare` decides and touches nothing; what it returns is for `submit.submit`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mox.address import Path
from mox.delivery import fromids, replies
from mox.delivery.headers import Headers
from mox.delivery.signing import Signed, signed
from mox.delivery.submit import Recipient, Submission
from mox.mailauth.content import Run, SignedContent, run_here
from mox.message import index_facts, parse, walk
from mox.message.dates import format_date
from mox.message.fields import field
from mox.message.ids import message_id
from mox.message.trace import FoldedField, Received, received
from mox.message.windowed import Windowed
from mox.message.words import decode_header
from mox.smtp.dsnparameters import NO_REQUEST, DsnRequest
from mox.smtp.reply import Reply
from mox.store.sent_log import SendLimits

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store.spool import Spool

NO_SEPARATOR = Reply(554, "5.6.0", "missing header/body separator")
NEEDS_8BITMIME = Reply(500, "5.6.0", "message with non-ascii data requires BODY=8BITMIME")
NEEDS_SMTPUTF8 = Reply(550, "5.6.0", "smtputf8 extension needed for message")
BAD_FROM = Reply(550, "5.6.0", "message must have exactly one From header with one address")
FOREIGN_FROM = Reply(550, "5.7.1", "From address must belong to authenticated user")
HAS_RETURN_PATH = Reply(550, "5.6.0", "message must not have a Return-Path header")
FROM_ID_RECIPIENTS = Reply(554, "5.5.3", "fromid can be used with one recipient only")

_EXTRA = b"x-mox-extra-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A complete message of a logged-in user with its envelope."""

    account: str
    login_address: str
    reverse_path: Path
    recipients: Sequence[Path]
    spool: Spool
    received: Received  # facts of the trace field; the client is not shown in it
    smtputf8: bool  # asked for with MAIL
    eightbitmime: bool  # BODY=8BITMIME was given
    requiretls: bool
    not_before: float = 0.0
    future_release: str = ""
    # RFC 3461: what the sender wants to be told; `requests` in the order of the recipients.
    requests: Sequence[DsnRequest] = ()
    ret: str = ""
    envid: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a submission is not taken. `result` is the label of its metric."""

    reply: Reply
    result: str


def prepare(
    config: Config, message: Submitted, *, localserve: bool, run: Run = run_here
) -> Submission | Refusal:
    """Check a message and return it in the form for the queue.

    A long one is hashed through `run`. Raises StoreError when it cannot be read.
    """
    content = _Content.of(message)
    headers = content.headers
    refusal = _refuse_format(config, message, content, localserve=localserve) or _refuse_author(
        config, message.account, headers
    )
    if refusal is not None:
        return refusal
    extra = _extra(headers)
    if isinstance(extra, Refusal):
        return extra
    recipients = _recipients(config, message)
    if isinstance(recipients, Refusal):
        return recipients
    prefix, new_id, signatures = _prefix(config, message, content, run)
    return Submission(
        account=message.account,
        recipients=recipients,
        spool=message.spool,
        prefix=prefix,
        message_id=headers.message_id or f"<{new_id}>",
        subject=decode_header(headers.first(b"subject")),
        has_8bit=not content.is_ascii,
        smtputf8=content.smtputf8,
        require_tls=_require_tls(message, headers),
        not_before=message.not_before,
        future_release=message.future_release,
        extra=extra,
        ret=message.ret,
        envid=message.envid,
        limits=limits_of(config, message.account),
        signed_with=signatures.kinds,
    )


def limits_of(config: Config, account: str) -> SendLimits:
    """Return how much an account may send within a day."""
    own = config.dynamic.accounts[account]
    return SendLimits(own.max_outgoing_messages_per_day, own.max_first_time_recipients_per_day)


# ---- what is refused


def _refuse_format(
    config: Config, message: Submitted, content: _Content, *, localserve: bool
) -> Refusal | None:
    if not content.headers.has_separator:
        return Refusal(NO_SEPARATOR, "badmessage")
    if not config.static.pedantic:
        return None
    if not content.is_ascii and not message.eightbitmime:
        return Refusal(NEEDS_8BITMIME, "badmessage")
    if content.smtputf8 and not message.smtputf8:
        return Refusal(NEEDS_SMTPUTF8, "missingsmtputf8")
    if content.headers.count(b"return-path"):
        return Refusal(HAS_RETURN_PATH, "badheader")
    if localserve and (problem := index_facts(content.stored, wire=False).malformed):
        return Refusal(Reply(554, "5.6.0", f"malformed message: {problem}"), "badmessage")
    return None


def _refuse_author(config: Config, account: str, headers: Headers) -> Refusal | None:
    # RFC 6409 §6.1: an MSA may enforce who submits as whom.
    author = headers.single_from()
    if author is None:
        return Refusal(BAD_FROM, "badfrom")
    if not config.lookup.may_send_as(account, author):
        return Refusal(FOREIGN_FROM, "badfrom")
    if config.lookup.is_disabled(author.domain):
        return Refusal(replies.DISABLED_SENDER, "badfrom")
    return None


# ---- what is found out


@dataclass(frozen=True, slots=True)
class _Content:
    """What several checks ask of the message's octets."""

    stored: bytes | Windowed
    headers: Headers
    is_ascii: bool
    smtputf8: bool  # it can only go to servers with SMTPUTF8, whatever MAIL said

    @classmethod
    def of(cls, message: Submitted) -> _Content:
        stored = message.spool.octets()
        headers = Headers(stored)
        is_ascii = stored.isascii()
        paths = (message.reverse_path, *message.recipients)
        smtputf8 = any(path.needs_smtputf8 for path in paths)
        if not is_ascii and not smtputf8:
            smtputf8 = not headers.section.isascii() or not all(
                head.isascii() for head in _part_headers(stored)
            )
        return cls(stored, headers, is_ascii, smtputf8)


def _part_headers(data: bytes | Windowed) -> Iterator[bytes]:
    """Yield the header sections of all parts (RFC 6532 §3.1 allows UTF-8 in them)."""
    for part in walk(parse(data, wire=False)):
        yield data[part.header_start : part.body_start]


def _require_tls(message: Submitted, headers: Headers) -> bool | None:
    if message.requiretls:
        return True
    # RFC 8689 §5: "TLS-Required: No"; REQUIRETLS of MAIL wins over it.
    values = headers.values(b"tls-required")
    return False if values and all(value.lower() == b"no" for value in values) else None


def _extra(headers: Headers) -> dict[str, str] | Refusal:
    """Return the X-Mox-Extra-… fields, which webhooks about the message repeat."""
    found: dict[str, str] = {}
    for name, value in headers.with_prefix(_EXTRA):
        key = "-".join(word.capitalize() for word in name.decode("ascii").split("-"))
        if key in found:
            reply = Reply(554, "5.6.0", f'duplicate x-mox-extra- key "{key}"')
            return Refusal(reply, "badheader")
        found[key] = value.decode("utf-8", "replace")
    return found


# ---- what is added


def _prefix(
    config: Config, message: Submitted, content: _Content, run: Run
) -> tuple[bytes, str, Signed]:
    """Return the fields to put in front, the Message-ID if one was made, and who signed."""
    facts, headers = message.received, content.headers
    # With one recipient for all the copies stay equal and can share a transaction.
    recipient = message.recipients[0] if len(message.recipients) == 1 else None
    before = received(replace(facts, recipient=recipient, smtputf8=content.smtputf8))
    new_id = ""
    # RFC 6409 §8.2, §8.3: add what is missing.
    if not headers.count(b"message-id"):
        new_id = message_id(facts.hostname)
        before += field("Message-Id", f"<{new_id}>")
    if not headers.count(b"date"):
        before += field("Date", format_date(facts.when))
    after = _authentication_results(message, smtputf8=content.smtputf8)
    author = content.headers.single_from()
    assert author is not None, "checked before"
    signable = SignedContent(content.stored, prefix=before + after)
    # RFC 4865: a message may be held for longer than signatures are valid.
    signatures = signed(config, signable, author, held_until=message.not_before, run=run)
    return before + signatures.fields + after, new_id, signatures


def _authentication_results(message: Submitted, *, smtputf8: bool) -> bytes:
    # RFC 8601 §2.7.4: method "auth".
    value = FoldedField("Authentication-Results")
    value.add(f"{message.received.hostname.pack(smtputf8)};", "auth=pass")
    value.add(f"smtp.mailfrom={message.reverse_path.pack(smtputf8)}")
    return bytes(value)


# ---- unique envelope senders


def _recipients(config: Config, message: Submitted) -> list[Recipient] | Refusal:
    """Return the recipients, each with a sender of its own where the login asks for that."""
    sender = message.reverse_path
    separator = _from_id_separator(config, message)
    if not separator:
        return [Recipient(path, sender, "", request) for path, request in _requested(message)]
    chosen = sender.localpart.partition(separator)[2]
    if chosen and len(message.recipients) > 1:
        return Refusal(FROM_ID_RECIPIENTS, "badmessage")
    found = []
    for path, request in _requested(message):
        from_id = chosen or fromids.new()
        own = fromids.sender(sender, separator, from_id)
        found.append(Recipient(path, own, from_id, request))
    return found


def _requested(message: Submitted) -> Iterator[tuple[Path, DsnRequest]]:
    """Yield the recipients with what is wanted for each."""
    for index, path in enumerate(message.recipients):
        yield path, message.requests[index] if message.requests else NO_REQUEST


def _from_id_separator(config: Config, message: Submitted) -> str:
    """Return what separates a unique id in the sender's localpart, "" for none."""
    address = message.reverse_path.address
    if address is None or not fromids.wanted(config, message.account, message.login_address):
        return ""
    return fromids.separator(config, address.domain)
