"""Parameters of MAIL (RFC 5321 §4.1.1.11 and the extensions' own RFCs).

One function per keyword in `_PARSERS`; each gets the event so far and the value, and returns the
event with its own field set.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import cast

from mox.address import Path
from mox.smtp.config import ServerConfig
from mox.smtp.dsnparameters import parse_envid, parse_ret
from mox.smtp.errors import CommandRefused
from mox.smtp.events import BodyType, MailFrom
from mox.smtp.grammar import SyntaxProblem, parse_xtext
from mox.smtp.reply import Reply

Clock = Callable[[], datetime]
Parameter = tuple[str, str | None]

_MIB_100 = 100 << 20
_INT64_MAX = (1 << 63) - 1

# RFC 5321 §4.1.2: esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
#                  esmtp-value   = 1*(%d33-60 / %d62-126), RFC 6531 §3.3 adds UTF-8
_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9-]*+)(?:=([!-<>-~\x80-\U0010ffff]++))?")
_SIZE = re.compile(r"[0-9]{1,20}")
_HOLD_FOR = re.compile(r"[1-9][0-9]{0,8}")
# RFC 4865 §4: HOLDUNTIL is an Internet date-time in UTC
_HOLD_UNTIL = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,9})?Z"
)


@dataclass(frozen=True, slots=True)
class _Given:
    """What the parsers may look at."""

    config: ServerConfig
    has_tls: bool
    now: Clock | None


def _refuse(code: int, enhanced: str, text: str) -> CommandRefused:
    return CommandRefused(Reply(code, enhanced, text))


def split_parameters(text: str, config: ServerConfig) -> list[Parameter]:
    """Split what follows the path into (KEYWORD, value or None); no keyword comes twice."""
    if not text:
        return []
    if not text.startswith((" ", "\t")):
        raise _refuse(501, "5.5.2", "bad syntax: unexpected text after path")
    words = text[1:].split(" ") if config.pedantic else text.split()
    if len(words) > config.limits.parameters:
        raise _refuse(501, "5.5.4", "too many parameters")
    parameters: dict[str, str | None] = {}
    for word in words:
        match = _PARAMETER.fullmatch(word)
        if match is None:
            raise _refuse(501, "5.5.2", "bad syntax: bad parameter")
        keyword = match[1].upper()
        if keyword in parameters:
            raise _refuse(501, "5.5.4", f"parameter {keyword} given twice")
        parameters[keyword] = match[2]
    return list(parameters.items())


def parse_mail_parameters(
    path: Path,
    parameters: list[Parameter],
    config: ServerConfig,
    has_tls: bool,
    now: Clock | None,
) -> MailFrom:
    """Make the event of MAIL from its path and parameters."""
    given = _Given(config, has_tls, now)
    keywords = {keyword for keyword, _ in parameters}
    if {"HOLDFOR", "HOLDUNTIL"} <= keywords:
        raise _refuse(501, "5.5.4", "HOLDFOR and HOLDUNTIL exclude each other")
    event = MailFrom(path)
    for keyword, value in parameters:
        parser = _PARSERS.get(keyword)
        if parser is None:
            raise _not_supported(keyword)
        event = parser(event, value, given)
    return event


def _not_supported(keyword: str) -> CommandRefused:
    return _refuse(555, "5.3.3", f"parameter {keyword} not supported")


def _size(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    # RFC 1870 §3: size-value = 1*20DIGIT
    if value is None or not _SIZE.fullmatch(value) or int(value) > _INT64_MAX:
        raise _refuse(501, "5.5.2", "bad syntax: bad SIZE")
    size = int(value)
    if size > given.config.max_size:
        enhanced = "5.2.3" if size < _MIB_100 else "5.3.4"
        raise _refuse(552, enhanced, f"message over maximum size {given.config.max_size}")
    return replace(event, size=size)


def _body(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    # RFC 6152 §2; BINARYMIME (RFC 3030 §3) is not offered.
    if value is None or value.upper() not in ("7BIT", "8BITMIME"):
        raise _refuse(555, "5.5.4", "BODY must be 7BIT or 8BITMIME")
    return replace(event, body=cast(BodyType, value.upper()))


def _smtputf8(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    if not given.config.smtputf8:
        raise _not_supported("SMTPUTF8")
    if value is not None:
        raise _refuse(501, "5.5.4", "SMTPUTF8 takes no value")
    return replace(event, smtputf8=True)


def _auth(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    # RFC 4954 §5: AUTH=<> or AUTH=xtext of an address
    if value is None:
        raise _refuse(501, "5.5.2", "bad syntax: AUTH needs a value")
    if value == "<>":
        return replace(event, auth="")
    try:
        return replace(event, auth=parse_xtext(value))
    except SyntaxProblem as err:
        raise _refuse(501, "5.5.2", f"bad syntax: {err}") from err


def _requiretls(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    if not given.config.requiretls:
        raise _not_supported("REQUIRETLS")
    # RFC 8689 §4.1: only over TLS, no value.
    if not given.has_tls:
        raise _refuse(523, "5.7.10", "REQUIRETLS needs TLS")
    if value is not None:
        raise _refuse(501, "5.5.4", "REQUIRETLS takes no value")
    return replace(event, requiretls=True)


def _hold_for(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    _check_future_release("HOLDFOR", given)
    # RFC 4865 §4: future-release-integer = %x31-39 *8DIGIT
    if value is None or not _HOLD_FOR.fullmatch(value):
        raise _refuse(501, "5.5.2", "bad syntax: bad HOLDFOR")
    if int(value) > given.config.future_release_s:
        raise _refuse(554, "5.5.4", f"HOLDFOR over maximum {given.config.future_release_s}")
    return replace(event, hold_for_s=int(value), hold=f"for;{value}")


def _hold_until(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    now = _check_future_release("HOLDUNTIL", given)
    match = _HOLD_UNTIL.fullmatch(value.upper()) if value else None
    if match is None:
        raise _refuse(501, "5.5.2", "bad syntax: bad HOLDUNTIL")
    try:
        until = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    except ValueError as err:
        raise _refuse(501, "5.5.2", "bad syntax: bad HOLDUNTIL") from err
    if not now <= until <= now + timedelta(seconds=given.config.future_release_s):
        raise _refuse(554, "5.5.4", "HOLDUNTIL in the past or too far in the future")
    return replace(event, hold_until=until, hold=f"until;{value}")


def _check_future_release(keyword: str, given: _Given) -> datetime:
    if not given.config.future_release_s or given.now is None:
        raise _not_supported(keyword)
    return given.now()


def _ret(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    if not given.config.dsn:
        raise _not_supported("RET")
    return replace(event, ret=parse_ret(value))


def _envid(event: MailFrom, value: str | None, given: _Given) -> MailFrom:
    if not given.config.dsn:
        raise _not_supported("ENVID")
    return replace(event, envid=parse_envid(value))


_PARSERS: dict[str, Callable[[MailFrom, str | None, _Given], MailFrom]] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _smtputf8,
    "AUTH": _auth,
    "REQUIRETLS": _requiretls,
    "RET": _ret,
    "ENVID": _envid,
    "HOLDFOR": _hold_for,
    "HOLDUNTIL": _hold_until,
}
