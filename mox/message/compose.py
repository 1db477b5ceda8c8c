"""New messages from texts and files (RFC 5322, RFC 2045 to 2049, RFC 6532).

    composed = compose(draft)
    for piece in composed.pieces(): spool.write(piece)

Pure: date, ids and randomness are in the draft. The body comes in pieces, so that files of any
size go through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mox.address import Address
from mox.message.composebodies import (
    ComposeError,
    Entity,
    File,
    check_token,
    check_value,
    file,
    multipart,
    text,
)
from mox.message.composefields import addresses, is_name, unstructured
from mox.message.dates import format_date

Mailboxes = Sequence[tuple[str, Address]]

# RFC 5322 §3.6: at most one of each; those of `_OURS` have a place of their own in a draft.
_SINGLE: Final = frozenset(
    {"sender", "reply-to", "to", "cc", "subject", "references", "in-reply-to"},
)
_OURS: Final = frozenset(
    {
        *("from", "date", "message-id", "bcc", "mime-version", "content-type", "content-id"),
        *("content-transfer-encoding", "content-disposition"),
    }
)
_AGENT: Final = frozenset(("user-agent", "x-mailer"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a message is composed of. Mailboxes are pairs of display name, "" for none, and address.

    `date`: seconds since the epoch, minutes east of UTC. Ids have their <>. `boundary`: letters
    and digits that are in none of the contents. `headers`: further fields, name and value.
    `bcc` is not shown, but what its addresses need counts.
    """

    author: tuple[str, Address]
    to: Mailboxes = ()
    cc: Mailboxes = ()
    bcc: Mailboxes = ()
    reply_to: Mailboxes = ()
    subject: str = ""
    date: tuple[int, int]
    message_id: str
    references: Sequence[str] = ()
    headers: Sequence[tuple[str, str]] = ()
    user_agent: str
    plain: str = ""
    html: str = ""
    alternative_files: Sequence[File] = ()
    inline_files: Sequence[File] = ()
    attached_files: Sequence[File] = ()
    boundary: str


@dataclass(frozen=True, slots=True)
class Composed:
    """A message in wire form: `header` with the empty line, then the body."""

    header: bytes
    entity: Entity
    smtputf8: bool  # UTF-8 is in the header, or an address has no other form

    @property
    def has_8bit(self) -> bool:
        return self.entity.has_8bit or not self.header.isascii()

    def pieces(self) -> Iterator[bytes]:
        """Yield header and body; files are read meanwhile."""
        yield self.header
        yield from self.entity.pieces()


def compose(draft: Draft) -> Composed:
    """Compose a message. Raises ComposeError for what cannot be in one."""
    smtputf8 = _needs_smtputf8(draft)
    fields = [*_head(draft, utf8=smtputf8), b"MIME-Version: 1.0\r\n", *_extra(draft, smtputf8)]
    entity = _entity(draft)
    return Composed(b"".join((*fields, entity.fields, b"\r\n")), entity, smtputf8)


def bcc_field(draft: Draft, *, utf8: bool) -> bytes:
    """Return the Bcc field for the sender's own copy, b"" when there are no such recipients."""
    return addresses("Bcc", draft.bcc, utf8=utf8) if draft.bcc else b""


def _needs_smtputf8(draft: Draft) -> bool:
    # RFC 6532 §3.2: only localparts and message ids have no form in ASCII.
    shown = (draft.author, *draft.to, *draft.cc, *draft.bcc, *draft.reply_to)
    ids = (draft.message_id, *draft.references)
    return not all(address.localpart.isascii() for _, address in shown) or not all(
        id_.isascii() for id_ in ids
    )


# ---- the header


def _head(draft: Draft, *, utf8: bool) -> Iterator[bytes]:
    yield addresses("From", [draft.author], utf8=utf8)
    for name, mailboxes in (("Reply-To", draft.reply_to), ("To", draft.to), ("Cc", draft.cc)):
        if mailboxes:
            yield addresses(name, mailboxes, utf8=utf8)
    check_value(draft.subject)
    for id_ in (draft.message_id, *draft.references):
        check_token(id_)
    if draft.subject:
        yield unstructured("Subject", draft.subject, utf8=utf8)
    yield f"Date: {format_date(*draft.date)}\r\n".encode()
    yield f"Message-Id: {draft.message_id}\r\n".encode()
    references = [id_ for id_ in draft.references if id_]
    if references:
        yield ("References: " + "\r\n\t".join(references) + "\r\n").encode()
        if not any(name.lower() == "in-reply-to" for name, _ in draft.headers):
            yield f"In-Reply-To: {references[-1]}\r\n".encode()


def _extra(draft: Draft, utf8: bool) -> Iterator[bytes]:
    names = _names(draft)
    for name, value in draft.headers:
        check_value(value)
        yield unstructured(name, value, utf8=utf8)
    if not names & _AGENT:
        yield f"User-Agent: {draft.user_agent}\r\n".encode()


def _names(draft: Draft) -> set[str]:
    """Check the names of further fields, and return them in lower case."""
    counts = Counter(name.lower() for name, _ in draft.headers)
    given = {
        "reply-to": draft.reply_to,
        "to": draft.to,
        "cc": draft.cc,
        "subject": draft.subject,
        "references": draft.references,
    }
    for name, count in counts.items():
        if not is_name(name):
            raise ComposeError(f'checking header values: "{name}" is no name of a header field')
        if name in _OURS or given.get(name):
            raise ComposeError(f'header "{name}" is set by the fields of the message already')
        if count > 1 and name in _SINGLE:
            raise ComposeError(f'header "{name}" cannot be there more than once')
    return set(counts)


# ---- the body


def _entity(draft: Draft) -> Entity:
    """Put the parts into each other, each multipart only where it is needed."""
    parts = [text(draft.plain, "plain")] if draft.plain else []
    if draft.html:
        parts.append(text(draft.html, "html"))
    if not parts:
        raise ComposeError("at least text or html body required")
    levels = (
        ("alternative", draft.alternative_files, "inline"),
        ("related", draft.inline_files, "inline"),
        ("mixed", draft.attached_files, "attachment"),
    )
    for subtype, files, disposition in levels:
        is_inline = disposition == "inline"
        parts += [file(each, "inline" if is_inline else "attachment") for each in files]
        if len(parts) > 1:
            parts = [multipart(subtype, parts, f"{draft.boundary}{subtype[0]}")]
    return parts[0]
