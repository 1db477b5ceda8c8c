"""What a server announces in its EHLO reply (RFC 5321 §4.1.1.1), as far as we can use it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

# RFC 9422 §4: limit values have up to six digits.
_LIMIT = re.compile(r"([A-Za-z0-9-]{1,64})=([0-9]{1,6})")
_SIZE = re.compile(r"[0-9]{1,20}")
_FLAGS = frozenset(
    {
        "STARTTLS",
        "ENHANCEDSTATUSCODES",
        "8BITMIME",
        "PIPELINING",
        "REQUIRETLS",
        "SMTPUTF8",
        "CHUNKING",
        "DSN",
    }
)


@dataclass(frozen=True, slots=True)
class Extensions:
    """`size` None: not announced, 0: announced without a limit. Limits: None when not given."""

    flags: frozenset[str] = frozenset()
    size: int | None = None
    auth: tuple[str, ...] = ()
    mail_max: int | None = None
    rcpt_max: int | None = None
    rcpt_domain_max: int | None = None
    lines: tuple[str, ...] = field(default=(), compare=False)

    @property
    def starttls(self) -> bool:
        return "STARTTLS" in self.flags

    @property
    def enhanced_codes(self) -> bool:
        return "ENHANCEDSTATUSCODES" in self.flags

    @property
    def eight_bit(self) -> bool:
        return "8BITMIME" in self.flags

    @property
    def pipelining(self) -> bool:
        return "PIPELINING" in self.flags

    @property
    def requiretls(self) -> bool:
        return "REQUIRETLS" in self.flags

    @property
    def dsn(self) -> bool:
        return "DSN" in self.flags

    @property
    def smtputf8(self) -> bool:
        return "SMTPUTF8" in self.flags


NO_EXTENSIONS = Extensions()


def parse_extensions(lines: Iterable[str]) -> Extensions:
    """Read the lines of an EHLO reply after the first; what cannot be read is left out."""
    flags: set[str] = set()
    size: int | None = None
    auth: tuple[str, ...] = ()
    limits: dict[str, int] = {}
    kept = tuple(lines)
    for line in kept:
        keyword, _, text = line.partition(" ")
        keyword = keyword.upper()
        if keyword in _FLAGS:
            flags.add(keyword)
        elif keyword == "SIZE":
            size = int(text) if _SIZE.fullmatch(text.strip()) else 0
        elif keyword == "AUTH":
            auth = tuple(text.upper().split())
        elif keyword == "LIMITS":
            limits = _parse_limits(text)
    return Extensions(
        frozenset(flags),
        size,
        auth,
        limits.get("MAILMAX"),
        limits.get("RCPTMAX"),
        limits.get("RCPTDOMAINMAX"),
        kept,
    )


def _parse_limits(text: str) -> dict[str, int]:
    limits: dict[str, int] = {}
    for word in text.split():
        match = _LIMIT.fullmatch(word)
        # RFC 9422 §3: the line counts as a whole or not at all.
        if match is None:
            return {}
        limits[match[1].upper()] = int(match[2])
    return limits
