"""Octets to text with the charset a message declares, or the best guess (RFC 2045 to 2047).

Declared, else strict UTF-8, else windows-1252. Statistical guessing is of no use for the short
texts of mail headers. Never raises.
"""

from __future__ import annotations

import codecs
import re
from encodings.aliases import aliases
from functools import lru_cache

FALLBACK = "cp1252"

# Codecs that are no charsets of text, or that cost more than linear time.
_REFUSED = {
    "base64_codec", "bz2_codec", "hex_codec", "quopri_codec", "rot_13", "uu_codec", "zlib_codec",
    "idna", "punycode", "mbcs", "oem", "raw_unicode_escape", "unicode_escape", "undefined",
}  # fmt: skip
# The standard library's codec search remembers every unknown name for ever: only known ones
# reach it.
_KNOWN = (set(aliases) | set(aliases.values())) - _REFUSED
# Names seen in mail that Python does not know, and narrow charsets that are used as if they were
# the wider one.
_RENAMED = {
    "iso_8859_1": FALLBACK, "iso8859_1": FALLBACK, "latin_1": FALLBACK, "latin1": FALLBACK,
    "l1": FALLBACK, "ansi": FALLBACK, "x_ansi": FALLBACK, "x_cp1252": FALLBACK,
    "gb2312": "gb18030", "gb_2312_80": "gb18030", "gbk": "gb18030", "x_gbk": "gb18030",
    "ks_c_5601_1987": "cp949", "ks_c_5601": "cp949", "euc_kr": "cp949", "ksc5601": "cp949",
    "shift_jis": "cp932", "x_sjis": "cp932", "sjis": "cp932", "windows_31j": "cp932",
    "iso_2022_jp": "iso2022_jp_ext", "cp_850": "cp850", "windows_874": "cp874",
    "tis_620": "cp874", "iso_8859_8_i": "iso8859_8", "iso_8859_8_e": "iso8859_8",
    "big5": "big5hkscs", "x_mac_roman": "mac_roman", "macintosh": "mac_roman",
    "unicode_1_1_utf_7": "utf_7", "unicode_1_1_utf_8": "utf_8", "x_unicode_2_0_utf_7": "utf_7",
    "cp65001": "utf_8", "utf8mb4": "utf_8", "koi8": "koi8_r", "x_koi8_r": "koi8_r",
}  # fmt: skip
_WITH_HALVES = {"utf-7", "utf_7"}
_GUESSED = {"us_ascii", "ascii", "646", "ansi_x3.4_1968", "unknown", "unknown_8bit", "8bit", "7bit"}

_NAME = re.compile(r"[a-z0-9][a-z0-9_.:+()-]{0,40}")


@lru_cache(maxsize=256)
def codec_name(charset: str) -> str | None:
    """Return Python's codec for a declared charset, None when the octets have to tell."""
    name = charset.strip(" '\"").lower()
    if not _NAME.fullmatch(name):
        return None
    name = name.replace("-", "_").replace(" ", "_")
    if name in _GUESSED:
        return None
    if name in _RENAMED:
        return _RENAMED[name]
    if name.startswith("windows_"):
        name = "cp" + name.removeprefix("windows_")
    if name not in _KNOWN or aliases.get(name) in _REFUSED:
        return None
    try:
        codec = codecs.lookup(name)
    except LookupError:  # a name of another platform
        return None
    return _RENAMED.get(codec.name.replace("-", "_"), codec.name)


def guess(octets: bytes) -> str:
    """Decode text of unknown charset: UTF-8 when it is valid UTF-8, else windows-1252."""
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError:
        return octets.decode(FALLBACK, "replace")


def decode(octets: bytes, charset: str) -> str:
    """Decode text of a declared charset (empty: none). Octets that do not fit become U+FFFD."""
    name = codec_name(charset) if charset and len(charset) <= 80 else None
    if name is None:
        return guess(octets)
    try:
        text = octets.decode(name, "replace")
    except (UnicodeError, ValueError):  # a codec without "replace"
        return guess(octets)
    # UTF-7 can have halves of surrogate pairs, which are no text: nothing can encode them.
    return _without_halves(text) if name in _WITH_HALVES else text


def _without_halves(text: str) -> str:
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
