"""Parameters of MAIL and RCPT by which a sender says what it wants to be told (RFC 3461 §4).

>>> parse_rcpt_parameters([("NOTIFY", "success,failure"), ("ORCPT", "rfc822;a+2Bb@x.example")])
DsnRequest(notify=('SUCCESS', 'FAILURE'), orcpt='rfc822;a+b@x.example')
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mox.smtp.errors import CommandRefused
from mox.smtp.grammar import SyntaxProblem, parse_xtext
from mox.smtp.reply import Reply

NEVER: Final = "NEVER"
SUCCESS: Final = "SUCCESS"
FAILURE: Final = "FAILURE"
DELAY: Final = "DELAY"
RETURNS: Final = ("FULL", "HDRS")

# RFC 3461 §4.4, §4.2.
_ENVID_OCTETS: Final = 100
_ORCPT_OCTETS: Final = 500
_ORCPT: Final = re.compile(r"([!-'*-.0-9;<>?A-Za-z^-~]{1,60}?);(.+)", re.DOTALL)
_NOT_XCHAR: Final = re.compile(r"[^!-*,-<>-~]")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class DsnRequest:
    """What is wanted for one recipient. Empty: as by default.

    notify: NEVER alone, or some of SUCCESS, FAILURE, DELAY. orcpt: type and address, decoded.
    """

    notify: tuple[str, ...] = ()
    orcpt: str = ""


NO_REQUEST: Final = DsnRequest()


def parse_rcpt_parameters(parameters: Iterable[tuple[str, str | None]]) -> DsnRequest:
    """Read the parameters of RCPT. Raises CommandRefused, also for unknown ones."""
    notify: tuple[str, ...] = ()
    orcpt = ""
    for keyword, value in parameters:
        if keyword == "NOTIFY":
            notify = _notify(value or "")
        elif keyword == "ORCPT":
            orcpt = _orcpt(value or "")
        else:
            raise CommandRefused(Reply(555, "5.3.3", f"parameter {keyword} not supported"))
    return DsnRequest(notify, orcpt)


def parse_ret(value: str | None) -> str:
    # RFC 3461 §4.3: ret-value = "FULL" / "HDRS"
    upper = (value or "").upper()
    if upper not in RETURNS:
        raise _bad("RET must be FULL or HDRS")
    return upper


def parse_envid(value: str | None) -> str:
    # RFC 3461 §4.4: xtext of at most 100 octets, decoded printable ASCII.
    text = _decoded(value or "", "ENVID", _ENVID_OCTETS)
    if not text.isascii():
        raise _bad("bad ENVID")
    return text


def encode_xtext(text: str) -> str:
    """Encode for a parameter's value (RFC 3461 §4)."""
    raw = text.encode("utf-8", "replace").decode("latin-1")
    return _NOT_XCHAR.sub(lambda match: f"+{ord(match[0]):02X}", raw)


def _notify(value: str) -> tuple[str, ...]:
    # RFC 3461 §4.1: "NEVER", or a list of the others without repetition that matters.
    words = tuple(dict.fromkeys(value.upper().split(",")))
    if words != (NEVER,) and not set(words) <= {SUCCESS, FAILURE, DELAY}:
        raise _bad("NOTIFY must be NEVER, or some of SUCCESS, FAILURE, DELAY")
    return words


def _orcpt(value: str) -> str:
    # RFC 3461 §4.2: original-recipient-address = addr-type ";" xtext
    type_, semicolon, address = value.partition(";")
    if not semicolon:
        raise _bad("bad ORCPT")
    text = f"{type_};{_decoded(address, 'ORCPT', _ORCPT_OCTETS)}"
    if not _ORCPT.fullmatch(text):
        raise _bad("bad ORCPT")
    return text


def _decoded(value: str, keyword: str, limit: int) -> str:
    try:
        text = parse_xtext(value)
    except SyntaxProblem as e:
        raise _bad(f"bad {keyword}") from e
    if not text or len(value) > limit or _CONTROL.search(text):
        raise _bad(f"bad {keyword}")
    return text


def _bad(text: str) -> CommandRefused:
    return CommandRefused(Reply(501, "5.5.4", text))
