"""GETMETADATA and SETMETADATA (RFC 5464 §4.2, §4.3), LIST RETURN (METADATA …) (RFC 9590)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mox.imap import codes, responses
from mox.imap.metadata import MAX_VALUE, Entries, EntryError, Value, normal_entry
from mox.imapd.answer import Done, Refusal
from mox.imapd.mailboxes import existing
from mox.imapd.selected import account_of
from mox.store.annotations import ACCOUNT, Annotation, TooManyAnnotations, annotate, annotations_of

if TYPE_CHECKING:
    from mox.imap import metadata
    from mox.imapd.session import Session
    from mox.store.model import MailboxId


def cmd_getmetadata(session: Session, command: metadata.GetMetadata) -> Done:
    mailbox_id = _target(session, command.mailbox)
    line, longest = _metadata(session, command.mailbox, mailbox_id, command.entries)
    session.write(line)
    # RFC 5464 §4.2.1: values that were too long are left out.
    return Done("getmetadata done", codes.metadata_longentries(longest) if longest else b"")


def metadata_line(session: Session, name: str, mailbox_id: MailboxId, entries: Entries) -> bytes:
    """The METADATA response for a mailbox that LIST tells of."""
    return _metadata(session, name, mailbox_id, entries)[0]


def _metadata(
    session: Session, name: str, mailbox_id: MailboxId, entries: Entries
) -> tuple[bytes, int]:
    """The response or b""; and the size of the longest value that was left out, or 0."""
    found = annotations_of(account_of(session), mailbox_id)
    values: dict[str, Value | None] = {}
    longest = 0
    for entry in entries.chosen(found):
        annotation = found[entry]
        if entries.max_size is not None and len(annotation.value) > entries.max_size:
            longest = max(longest, len(annotation.value))
        else:
            values[entry] = Value(annotation.value, annotation.binary)
    # RFC 5464 §4.4.1: an entry that was asked for by its name and has no value is NIL.
    missing = [entry for entry in entries.names if entry.count("/") > 1 and entry not in found]
    values |= dict.fromkeys(missing)
    if not values:
        return b"", longest
    return responses.metadata(name, sorted(values.items()), utf8=session.state.utf8), longest


def cmd_setmetadata(session: Session, command: metadata.SetMetadata) -> Done:
    mailbox_id = _target(session, command.mailbox)
    changes = [_change(entry, value) for entry, value in command.values]
    try:
        annotate(account_of(session), mailbox_id, changes)
    except TooManyAnnotations as e:
        raise Refusal(e.text, codes.METADATA_TOOMANY) from e
    return Done("setmetadata done")


def _change(entry: str, value: Value | None) -> tuple[str, Annotation | None]:
    try:
        name = normal_entry(entry)
    except EntryError as e:
        raise Refusal(str(e)) from e
    if value is None:
        return name, None
    if len(value.octets) > MAX_VALUE:
        raise Refusal("value is too long", codes.metadata_maxsize(MAX_VALUE))
    return name, Annotation(value.octets, value.binary)


def _target(session: Session, name: str) -> MailboxId:
    """RFC 5464 §4: an empty mailbox name stands for the server, here the user's account."""
    return existing(account_of(session), name).id if name else ACCOUNT
