"""The base subject, by which messages of one conversation know each other (RFC 5256 §2.1)."""

from __future__ import annotations

import re

MAX_CHARS = 1000

_SPACE = re.compile(r"\s+")
# RFC 5256 §5: subj-blob = "[" *BLOBCHAR "]" *WSP
_BLOB = re.compile(r"\[[^\[\]]*+\]\s*")
# subj-leader = (*subj-blob subj-refwd) / WSP; subj-refwd = ("re" / ("fw" ["d"])) *WSP [blob] ":"
# The first group is not possessive: Python before 3.11.5, as in Debian 12, does not go back to the
# end of the last whole round then. Nothing that a round gives back can be matched another way.
_LEADER = re.compile(r"(?:\[[^\[\]]*+\]\s*)*(?:re|fwd?)\s*+(?:\[[^\[\]]*+\]\s*+)?:")
_FORWARDED_HEADER = "[fwd:"


def base_subject(subject: str) -> tuple[str, bool]:
    """Return the base subject of a decoded subject, in lower case, and if it is a response.

    Response means that something that marks a reply or forward was removed.
    """
    if "\0" in subject:
        return "", False
    base = _SPACE.sub(" ", subject[:MAX_CHARS].lower())
    is_response = False
    while True:
        base, removed_trailer = _without_trailers(base)
        base, removed_leader = _without_leaders(base)
        is_response = is_response or removed_trailer or removed_leader
        # RFC 5256 §2.1 (6): [fwd: … ] is unwrapped, and all begins anew.
        if not (base.startswith(_FORWARDED_HEADER) and base.endswith("]")):
            return base, is_response
        base = base[len(_FORWARDED_HEADER) : -1]
        is_response = True


def _without_trailers(base: str) -> tuple[str, bool]:
    """RFC 5256 §2.1 (2): remove trailing `(fwd)` and white space."""
    removed = False
    while True:
        base = base.rstrip()
        if not base.endswith("(fwd)"):
            return base, removed
        base = base[:-5]
        removed = True


def _without_leaders(base: str) -> tuple[str, bool]:
    """RFC 5256 §2.1 (3) to (5): remove `re:` and the like, and blobs while something is left."""
    removed = False
    pos = 0
    while True:
        while pos < len(base) and base[pos] == " ":
            pos += 1
        if leader := _LEADER.match(base, pos):
            pos = leader.end()
            removed = True
        elif (blob := _BLOB.match(base, pos)) and blob.end() < len(base):
            pos = blob.end()
        else:
            return base[pos:], removed
