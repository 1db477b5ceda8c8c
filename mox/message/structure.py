"""BODY and BODYSTRUCTURE, ready to send (RFC 9051 §7.5.2, RFC 3501 §7.4.2)."""

from __future__ import annotations

from mox.message.imapstrings import NIL, string, text
from mox.message.params import Disposition, render_params
from mox.message.parts import Part


def bodystructure(part: Part, *, extensible: bool = True) -> bytes:
    """Render the structure of a message; `extensible` False gives BODY."""
    if part.children:
        children = b"".join([bodystructure(c, extensible=extensible) for c in part.children])
        if not extensible:
            return b"(%b %b)" % (children, text(part.media_subtype))
        subtype_and_params = part.content_type.rendered.removeprefix(b'"MULTIPART" ')
        return b"(%b %b %b)" % (children, subtype_and_params, _common_extensions(part))
    fields = b"%b %b %b %b %d" % (
        part.content_type.rendered,
        _optional(part.content_id),
        _optional(part.description),
        # RFC 9051 §9: body-fld-enc is a string, never NIL.
        text(part.encoding),
        part.octets,
    )
    if part.message is not None:
        inner = bodystructure(part.message, extensible=extensible)
        fields += b" %b %b %d" % (part.message.envelope, inner, part.lines)
    elif part.is_text:
        fields += b" %d" % part.lines
    if not extensible:
        return b"(%b)" % fields
    return b"(%b %b %b)" % (fields, _optional(part.md5), _common_extensions(part))


def _optional(value: str) -> bytes:
    return text(value) if value else NIL


def _common_extensions(part: Part) -> bytes:
    """Disposition, language, location: the end of all extensible structures."""
    if part.disposition is None and not part.language and not part.location:
        return b"NIL NIL NIL"
    return b"%b %b %b" % (
        _disposition(part.disposition),
        _language(part.language),
        _optional(part.location),
    )


def _disposition(disposition: Disposition | None) -> bytes:
    if disposition is None:
        return NIL
    upper = tuple((key.upper(), value) for key, value in disposition.params)
    return b"(%b %b)" % (text(disposition.type), render_params(upper))


def _language(tags: tuple[str, ...]) -> bytes:
    if not tags:
        return NIL
    if len(tags) == 1:
        return string(tags[0].encode())
    return b"(%b)" % b" ".join([text(tag) for tag in tags])
