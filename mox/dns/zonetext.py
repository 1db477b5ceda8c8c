"""Records as they are written in zone files (RFC 1035 §5.1)."""

from __future__ import annotations

from typing import Final

# Short enough for an editor's window; RFC 1035 §3.3 allows 255 octets for one string.
_STRING: Final = 100


def quoted_txt(text: str) -> str:
    """Return the data of a TXT record, in several strings in parentheses when it is long.

    >>> quoted_txt("v=spf1 -all")
    '"v=spf1 -all"'
    """
    strings = [text[at : at + _STRING] for at in range(0, len(text), _STRING)] or [""]
    quoted = [_quote(string) for string in strings]
    if len(quoted) == 1:
        return quoted[0]
    lines = "\n".join(f"\t\t{string}" for string in quoted)
    return f"(\n{lines}\n\t)"


def _quote(string: str) -> str:
    escaped = string.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
