"""A word for the subject that lets a message in that was refused as junk.

The refusal tells the sender a token, made for this sender's address and this recipient's key; who
writes again with it in the subject is let in. It is no secret between the two for ever: it is
good for the configured period and only from the same header From address.

>>> token = generate(b"secretkey0123456", "mjl@mox.example", 1700000000)
>>> token
'(pass:AGVT8ZsS30DOCUokUeWb7g)'
>>> verify(f"Re: hello {token}", b"secretkey0123456", "mjl@mox.example", 1700000999, 3600)
''
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re

KEY_OCTETS = 16
KEY_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
EXPLANATION = (
    "message looks like junk; to let it in, send it again with this at the end of its subject: "
)

_TOKEN = re.compile(r"\(pass:([^()\s]{0,100})\)")
_TIME_OCTETS = 4
_MAC_OCTETS = 12
_STEP_BITS = 8  # lowest bits of the time that a token leaves out


def generate(key: bytes, sender: str, now: int) -> str:
    """The token for a header From address.

    sender: `localpart@domain`, localpart quoted where it has to be, domain in Unicode.
    """
    # Four bits of version, which is 0, and 28 of the time.
    signed = ((now >> _STEP_BITS) & 0x0FFFFFFF).to_bytes(_TIME_OCTETS, "big")
    return f"(pass:{_encode(signed + _mac(key, signed, sender))})"


def verify(subject: str, key: bytes, sender: str, now: int, period_s: int) -> str:
    """Check the first token of a decoded subject; returns "" or what is wrong, for the log."""
    found = _TOKEN.search(subject)
    if found is None:
        return "no token"
    try:
        octets = base64.b64decode(found[1] + "==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return "bad token"
    if len(octets) != _TIME_OCTETS + _MAC_OCTETS or octets[0] >> 4:
        return "bad token"
    signed, mac = octets[:_TIME_OCTETS], octets[_TIME_OCTETS:]
    if not hmac.compare_digest(mac, _mac(key, signed, sender)):
        return "token of another sender"
    made = int.from_bytes(signed, "big") << _STEP_BITS
    if not 0 <= now - made <= period_s:
        return "expired token"
    return ""


def _mac(key: bytes, signed: bytes, sender: str) -> bytes:
    return hmac.digest(key, signed + sender.encode("utf-8", "replace"), "sha256")[:_MAC_OCTETS]


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
