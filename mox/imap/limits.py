"""Bounds on what one client may make the parser hold or do."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets unless said otherwise; the defaults suit authenticated sessions.

    RFC 7888 §4 and RFC 9051 §4.3: a server may refuse literals that it finds too large.
    """

    line: int = 64 * 1024  # text of one command over all its lines, literals not counted
    tag: int = 256
    literal: int = 100 * 1024  # one literal outside APPEND's messages
    literals: int = 1000 * 1024  # all literals of a command
    literal_count: int = 1000
    swallow: int = 64 * 1024  # unwanted non-synchronising literals of a command, read and dropped
    append_swallow: int = 64 * 1024 * 1024  # the same for a refused APPEND
    depth: int = 64  # nested parentheses, NOT and OR in a search
    search_keys: int = 2000
    set_ranges: int = 32 * 1024  # of one sequence set
    fetch_attributes: int = 500
    list_patterns: int = 100
    part_depth: int = 100  # numbers in BODY[1.2.3…]
    id_fields: int = 100


LIMITS = Limits()

# Before login a client needs no more than a name and a password.
LIMITS_BEFORE_LOGIN = Limits(
    literal=8 * 1024, literals=32 * 1024, literal_count=10, append_swallow=0
)
