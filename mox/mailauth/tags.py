"""Tag lists: `a=rsa-sha256; d=example.org; …` (RFC 6376 §3.2). The splitting is dkimpy's."""

from __future__ import annotations

import re
from typing import Final

from dkim.util import InvalidTagSpec, InvalidTagValueList, parse_tag_value

_LINE_ENDS: Final = b"\r\n"
_WHITE: Final = b" \t\r\n"
# RFC 6376 §3.2: tag-name = ALPHA *ALNUMPUNC
_NAME: Final = re.compile(rb"[A-Za-z][A-Za-z0-9_]*+")


class TagError(ValueError):
    """A tag list, or the value of a tag, that does not follow the grammar."""


def parse_tags(text: bytes) -> dict[str, bytes]:
    """Return the tags in their order, values trimmed. Raises TagError, also for duplicates."""
    try:
        tags = parse_tag_value(text.translate(None, _LINE_ENDS))
    except InvalidTagSpec as e:
        raise TagError("not a list of tags") from e
    except InvalidTagValueList as e:
        # RFC 6376 §3.2: a list with a tag twice is invalid as a whole.
        raise TagError("duplicate tag") from e
    found = {}
    for name, value in tags.items():
        # dkimpy accepts any name that begins well.
        if not _NAME.fullmatch(name):
            raise TagError("bad name of a tag")
        found[name.decode("ascii")] = value
    return found


def without_white(value: bytes) -> bytes:
    """Return a value without folding white space, which Base64 and lists may contain."""
    return value.translate(None, _WHITE)


def colon_list(value: bytes) -> list[bytes]:
    """Return the items of a list that colons separate, trimmed."""
    return [item.strip(_WHITE) for item in value.split(b":")]


def without_signature(field: bytes) -> bytes:
    """Return a whole header field with an empty b= tag, everything else as it was."""
    # RFC 6376 §3.5: the value of b=, with all white space around it, is taken as empty.
    name, colon, value = field.partition(b":")
    parts = value.split(b";")
    for index, part in enumerate(parts):
        tag, equals, _ = part.partition(b"=")
        if equals and tag.strip(_WHITE) == b"b":
            parts[index] = tag + equals
    return name + colon + b";".join(parts)
