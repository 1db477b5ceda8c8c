"""The media type of octets that came without one, from how they begin.

The WHATWG's MIME Sniffing standard, §6 and §7: what browsers recognise. Looks at 512 octets.
"""

from __future__ import annotations

import re
from typing import Final

OCTET_STREAM: Final = "application/octet-stream"
HEAD_OCTETS: Final = 512

# §7.1: markup, in any case, after white space and before a space or ">".
_HTML: Final = re.compile(
    rb"[\t\n\x0c\r ]*<(?:!DOCTYPE HTML|HTML|HEAD|SCRIPT|IFRAME|H1|DIV|FONT|TABLE|A|STYLE|TITLE|B|"
    rb"BODY|BR|P|!--)[ >]",
    re.IGNORECASE,
)
_XML: Final = re.compile(rb"[\t\n\x0c\r ]*<\?xml")
_STARTS: Final = (
    (b"%PDF-", "application/pdf"),
    (b"%!PS-Adobe-", "application/postscript"),
    (b"\xfe\xff", "text/plain; charset=utf-16be"),
    (b"\xff\xfe", "text/plain; charset=utf-16le"),
    (b"\xef\xbb\xbf", "text/plain; charset=utf-8"),
    # §6.1
    (b"\x00\x00\x01\x00", "image/x-icon"),
    (b"\x00\x00\x02\x00", "image/x-icon"),
    (b"BM", "image/bmp"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    # §6.2
    (b"OggS\x00", "application/ogg"),
    (b"MThd\x00\x00\x00\x06", "audio/midi"),
    (b"ID3", "audio/mpeg"),
    (b"\x1aE\xdf\xa3", "video/webm"),
    # §6.3, §6.4
    (b"\x00\x01\x00\x00", "font/ttf"),
    (b"OTTO", "font/otf"),
    (b"ttcf", "font/collection"),
    (b"wOFF", "font/woff"),
    (b"wOF2", "font/woff2"),
    (b"\x1f\x8b\x08", "application/x-gzip"),
    (b"PK\x03\x04", "application/zip"),
    (b"Rar!\x1a\x07\x00", "application/x-rar-compressed"),
    (b"Rar!\x1a\x07\x01\x00", "application/x-rar-compressed"),
    (b"\x00asm", "application/wasm"),
)
_CONTAINERS: Final = {
    (b"RIFF", b"WEBPVP"): "image/webp",
    (b"RIFF", b"AVI "): "video/avi",
    (b"RIFF", b"WAVE"): "audio/wave",
    (b"FORM", b"AIFF"): "audio/aiff",
}
# §3: binary data bytes
_BINARY: Final = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")


def sniff(head: bytes) -> str:
    """Return the media type of content that begins so; OCTET_STREAM when nothing is known."""
    head = head[:HEAD_OCTETS]
    if _HTML.match(head):
        return "text/html; charset=utf-8"
    if _XML.match(head):
        return "text/xml; charset=utf-8"
    for start, media_type in _STARTS:
        if head.startswith(start):
            return media_type
    for (outer, inner), media_type in _CONTAINERS.items():
        if head.startswith(outer) and head.startswith(inner, 8):
            return media_type
    if _is_mp4(head):
        return "video/mp4"
    return OCTET_STREAM if _BINARY.search(head) else "text/plain; charset=utf-8"


def _is_mp4(head: bytes) -> bool:
    """§6.2.1: a box `ftyp` with a brand that begins with mp4."""
    size = int.from_bytes(head[:4], "big")
    if len(head) < 12 or len(head) < size or size % 4 or head[4:8] != b"ftyp":
        return False
    return any(head[at : at + 3] == b"mp4" for at in range(8, size, 4) if at != 12)
