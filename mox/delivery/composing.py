"""Messages that this server composes for its users: by the webapi.

`write` composes and signs a draft, in one pass over its files, and gives it in the form for the
queue. What the author may do is checked here, as `submission` does it for SMTP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mox.address import Address, Domain, Path
from mox.delivery import fromids
from mox.delivery.signing import Signed, signed, signers_for
from mox.delivery.submission import limits_of
from mox.delivery.submit import Recipient, Submission
from mox.errors import UserError
from mox.mailauth.content import LONG_BODY_OCTETS, BodyHash, BodyHasher, SignedContent
from mox.message.compose import Composed, Draft, bcc_field, compose
from mox.message.trace import received_by_http

if TYPE_CHECKING:
    from mox.config import Config
    from mox.store.pool import BlockingPool
    from mox.store.spool import Spool


class ForeignAuthor(UserError):
    """The From address is not the user's."""


class DisabledDomain(UserError):
    """The domain of the From address is turned off."""


class TooLarge(UserError):
    """The message is larger than the server takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who sends, and how the request came: for the envelope and the trace field."""

    account: str
    login_address: str
    hostname: Domain
    id: str  # for the Received field
    tls: str = ""  # version and cipher suite
    when: float  # seconds since the epoch


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What else is asked for a message."""

    require_tls: bool | None = None
    not_before: float = 0.0
    future_release: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """A composed message. `own_prefix`: fields for the sender's own copy, before the message's."""

    submission: Submission
    own_prefix: bytes


def check_author(config: Config, account: str, author: Address) -> None:
    """Raise ForeignAuthor or DisabledDomain for an address that an account may not send as."""
    if not config.lookup.may_send_as(account, author):
        raise ForeignAuthor("from-address not configured for account")
    if config.lookup.is_disabled(author.domain):
        raise DisabledDomain(f"domain {author.domain} is disabled")


def write(
    config: Config,
    origin: Origin,
    draft: Draft,
    options: Options,
    spool: Spool,
    pool: BlockingPool,
    *,
    max_size: int,
) -> Written:
    """Compose a message into `spool`; its author has been checked. Long texts go through `pool`.

    Raises ComposeError, TooLarge, UserError, and StoreError of the disk.
    """
    paths = [Path(a.localpart, a.domain) for _, a in (*draft.to, *draft.cc, *draft.bcc)]
    recipients = _recipients(config, origin, draft.author[1], paths)
    is_long = len(draft.plain) + len(draft.html) > LONG_BODY_OCTETS
    composed = pool.apply(compose, (draft,)) if is_long else compose(draft)
    trace = received_by_http(
        origin.hostname,
        id=origin.id,
        tls=origin.tls,
        # With one recipient for all, the copies stay equal and can share a transaction.
        recipient=paths[0] if len(paths) == 1 else None,
        when=int(origin.when),
        smtputf8=composed.smtputf8,
    )
    hashes = _pour(config, composed, draft.author[1].domain, spool, max_size - len(trace))
    signatures = _sign(config, composed, trace, draft, hashes, options.not_before)
    submission = Submission(
        account=origin.account,
        recipients=recipients,
        spool=spool,
        prefix=trace + signatures.fields,
        message_id=draft.message_id,
        subject=draft.subject,
        has_8bit=composed.has_8bit,
        smtputf8=composed.smtputf8,
        require_tls=options.require_tls,
        not_before=options.not_before,
        future_release=options.future_release,
        extra=options.extra,
        limits=limits_of(config, origin.account),
        signed_with=signatures.kinds,
    )
    return Written(submission, bcc_field(draft, utf8=composed.smtputf8) + signatures.fields)


def _recipients(
    config: Config, origin: Origin, author: Address, paths: Sequence[Path]
) -> list[Recipient]:
    """Return the recipients, each with a sender of its own where the login asks for that."""
    sender = Path(author.localpart, author.domain)
    if not fromids.wanted(config, origin.account, origin.login_address):
        return [Recipient(path, sender) for path in paths]
    separator = fromids.separator(config, author.domain)
    if not separator:
        raise UserError(
            f"domain {author.domain} of the from-address has no localpart catchall separator, "
            "which FromIDLoginAddresses needs"
        )
    ids = [fromids.new() for _ in paths]
    return [
        Recipient(path, fromids.sender(sender, separator, from_id), from_id)
        for path, from_id in zip(paths, ids, strict=True)
    ]


def _pour(
    config: Config, composed: Composed, domain: Domain, spool: Spool, max_size: int
) -> dict[BodyHash, bytes]:
    """Write the message, and hash its body for the signatures on the way."""
    wanted = {BodyHash(signer.hash, signer.body) for signer in signers_for(config, domain)}
    hashers = {each: BodyHasher(each, wire=True) for each in wanted}
    spool.write(composed.header)
    for piece in composed.entity.pieces():
        spool.write(piece)
        if spool.size > max_size:
            raise TooLarge("message too large")
        for hasher in hashers.values():
            hasher.feed(piece)
    return {each: hasher.finish() for each, hasher in hashers.items()}


def _sign(
    config: Config,
    composed: Composed,
    trace: bytes,
    draft: Draft,
    hashes: Mapping[BodyHash, bytes],
    held_until: float,
) -> Signed:
    if not hashes:
        return Signed()  # nobody signs for this author
    content = SignedContent(composed.header, prefix=trace, wire=True, hashes=hashes)
    return signed(config, content, draft.author[1], held_until=held_until)
