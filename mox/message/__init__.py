"""Internet messages: reading, showing to IMAP, composing.

RFC 5322 and MIME (RFC 2045 to 2047, 2183, 2231, 6532) for the format, RFC 9051 and RFC 3501 for
what IMAP shows of it, RFC 3464 for delivery status notifications. Pure functions over octets: no
files, no network, no clock. Reading never raises on any input and stops at `Limits`; questions
that make no sense raise a `MessageError`.

Functions that look at a whole message take wire form (CRLF) or, with `wire=False`, the stored
form with LF; what they return is always wire form.

>>> raw = b"Subject: =?utf-8?q?caf=C3=A9?=\\r\\nContent-Type: text/html\\r\\n\\r\\n<p>hi\\r\\n"
>>> root = parse(raw)
>>> bodystructure(root, extensible=False)
b'("TEXT" "HTML" NIL NIL NIL "7BIT" 7 1)'
>>> section(raw, root, Section((1,)), wire=True)
b'<p>hi\\r\\n'
>>> index_facts(raw, wire=True).subject
'café'
"""

from __future__ import annotations

from mox.message.dates import format_date as date_header
from mox.message.envelopes import envelope
from mox.message.facts import IndexFacts, index_facts
from mox.message.fields import (
    Data,
    field,
    field_values,
    has_field,
    has_separator,
    header_section,
    prepend,
    split_fields,
)
from mox.message.ids import message_id
from mox.message.limits import LIMITS, Limits
from mox.message.mailboxes import Group, Mailbox, address_list, mailboxes
from mox.message.parts import (
    MessageError,
    NotALeaf,
    Part,
    UnknownEncoding,
    has_8bit_headers,
    resolve,
    walk,
)
from mox.message.reader import parse
from mox.message.sections import Section, decoded, section
from mox.message.structure import bodystructure
from mox.message.subjects import base_subject
from mox.message.summary import Summary, thread_links
from mox.message.transfer import header_text, part_octets, part_text, text_of
from mox.message.words import decode_header

__all__ = [
    "LIMITS",
    "Data",
    "Group",
    "IndexFacts",
    "Limits",
    "Mailbox",
    "MessageError",
    "NotALeaf",
    "Part",
    "Section",
    "Summary",
    "UnknownEncoding",
    "address_list",
    "base_subject",
    "bodystructure",
    "date_header",
    "decode_header",
    "decoded",
    "envelope",
    "field",
    "field_values",
    "has_8bit_headers",
    "has_field",
    "has_separator",
    "header_section",
    "header_text",
    "headers",
    "index_facts",
    "mailboxes",
    "message_id",
    "parse",
    "part_octets",
    "part_text",
    "prepend",
    "resolve",
    "section",
    "split_fields",
    "text_of",
    "thread_links",
    "walk",
]


def headers(data: Data, part: Part, *, wire: bool = True) -> list[tuple[bytes, bytes]]:
    """Return the fields at `part` as (name, raw value with its folding)."""
    return split_fields(bytes(data[part.header_start : part.body_start]), wire=wire)
