"""The IMAP ENVELOPE of a message, ready to send (RFC 9051 §7.5.2, RFC 3501 §7.4.2).

Texts are the raw header text, unfolded; encoded words stay as they are.
"""

from __future__ import annotations

from mox.message.fields import Data, as_bytes
from mox.message.imapstrings import NIL, nstring
from mox.message.limits import LIMITS, Limits
from mox.message.mailboxes import render_addresses
from mox.message.parts import Part
from mox.message.scan import FieldMap, scan_fields

ENVELOPE_FIELDS = frozenset(
    b"date subject from sender reply-to to cc bcc in-reply-to message-id".split()
)


def envelope(data: Data, part: Part, *, wire: bool = True, limits: Limits = LIMITS) -> bytes:
    """Render the ENVELOPE of the message at `part`."""
    section = as_bytes(data[part.header_start : part.body_start])
    return render_envelope(scan_fields(section, ENVELOPE_FIELDS, limits, wire=wire), limits)


def render_envelope(fields: FieldMap, limits: Limits = LIMITS) -> bytes:
    """Render the ENVELOPE from unfolded fields by lower-case name."""
    from_ = _addresses(fields, b"from", limits)
    sender = _addresses(fields, b"sender", limits)
    reply_to = _addresses(fields, b"reply-to", limits)
    return b"(%b %b %b %b %b %b %b %b %b %b)" % (
        _text(fields, b"date", limits),
        _text(fields, b"subject", limits),
        from_,
        # RFC 9051 §7.5.2: absent or empty Sender and Reply-To show what From has.
        from_ if sender == NIL else sender,
        from_ if reply_to == NIL else reply_to,
        _addresses(fields, b"to", limits),
        _addresses(fields, b"cc", limits),
        _addresses(fields, b"bcc", limits),
        _text(fields, b"in-reply-to", limits),
        _text(fields, b"message-id", limits),
    )


def _text(fields: FieldMap, name: bytes, limits: Limits) -> bytes:
    values = fields.get(name)
    return nstring(values[0][: limits.field_octets]) if values else NIL


def _addresses(fields: FieldMap, name: bytes, limits: Limits) -> bytes:
    values = fields.get(name)
    if not values:
        return NIL
    # RFC 5322 §4.5: obsolete messages repeat address fields.
    return render_addresses(values[0] if len(values) == 1 else b", ".join(values), limits)
