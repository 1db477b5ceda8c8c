"""The arguments of HELO, EHLO, MAIL, RCPT, AUTH and BDAT as events (RFC 5321 §4.1.1).

Each function takes the text after the verb and returns the event or value, or raises
`CommandRefused` with the reply. Order and policy are not looked at here.
"""

from __future__ import annotations

import base64
import binascii
import re

from mox.address import AddressError, Path, parse_domain
from mox.smtp.config import ServerConfig
from mox.smtp.dsnparameters import parse_rcpt_parameters
from mox.smtp.errors import CommandRefused
from mox.smtp.events import Auth, Hello, MailFrom, RcptTo
from mox.smtp.grammar import SyntaxProblem, parse_literal, parse_path
from mox.smtp.parameters import Clock, parse_mail_parameters, split_parameters
from mox.smtp.reply import Reply

# RFC 3030 §2: chunk-size = 1*DIGIT, a 64-bit number has up to 20 digits
_BDAT = re.compile(r"([0-9]{1,20})(?: +(LAST))?", re.IGNORECASE)
_HELLO_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,255}")
_MECHANISM = re.compile(r"[A-Za-z0-9_-]{1,20}")


def syntax_error(text: str) -> CommandRefused:
    return CommandRefused(Reply(501, "5.5.2", f"bad syntax: {text}"))


def parse_hello(text: str, config: ServerConfig, *, is_extended: bool) -> Hello:
    """Read the argument of EHLO or HELO. Submission clients may say anything."""
    is_lenient = config.kind == "submission" and not config.pedantic
    try:
        return _hello(text, is_extended, is_lenient)
    except (SyntaxProblem, AddressError) as err:
        if is_lenient:
            return Hello(_usable_name(text), None, None, is_extended)
        raise syntax_error(str(err)) from err


def _hello(text: str, is_extended: bool, is_lenient: bool) -> Hello:
    if not text.startswith("["):
        domain = parse_domain(text.removesuffix("."))
        return Hello(domain.ascii, domain, None, is_extended)
    # RFC 5321 §4.1.1.1: only EHLO takes an address literal.
    if not is_extended and not is_lenient:
        raise SyntaxProblem("HELO takes a domain")
    address, end = parse_literal(text, 0, tag_needed=not is_lenient)
    if text[end : end + 1] not in ("", " "):
        raise SyntaxProblem("unexpected text after address literal")
    return Hello(text[:end], None, address, is_extended)


def _usable_name(text: str) -> str:
    match = _HELLO_NAME.match(text)
    return match[0] if match and match[0].isascii() else ""


def parse_mail(text: str, config: ServerConfig, *, has_tls: bool, now: Clock | None) -> MailFrom:
    """Read what follows MAIL."""
    path, rest = _path(text, "FROM:", config)
    event = parse_mail_parameters(path, split_parameters(rest, config), config, has_tls, now)
    _check_utf8(path, text[: len(text) - len(rest)], event.smtputf8, 550)
    return event


def parse_rcpt(text: str, config: ServerConfig, *, smtputf8: bool) -> RcptTo:
    """Read what follows RCPT; `smtputf8` as given with MAIL."""
    path, rest = _path(text, "TO:", config)
    if path.is_null:
        raise syntax_error("recipient must not be empty")
    parameters = split_parameters(rest, config)
    if parameters and not config.dsn:
        text = f"parameter {parameters[0][0]} not supported"
        raise CommandRefused(Reply(555, "5.3.3", text))
    request = parse_rcpt_parameters(parameters)
    _check_utf8(path, text[: len(text) - len(rest)], smtputf8, 553)
    return RcptTo(path, request)


def _path(text: str, lead: str, config: ServerConfig) -> tuple[Path, str]:
    if text[: len(lead)].upper() != lead:
        raise syntax_error(f"expected {lead}")
    start = len(lead)
    while not config.pedantic and text[start : start + 1] in (" ", "\t"):
        start += 1
    localpart = min(config.limits.localpart, 64) if config.pedantic else config.limits.localpart
    try:
        path, end = parse_path(text, start, config.limits.path, localpart)
    except SyntaxProblem as err:
        raise syntax_error(str(err)) from err
    return path, text[end:]


def _check_utf8(path: Path, written: str, smtputf8: bool, code: int) -> None:
    if smtputf8 or written.isascii():
        return
    # RFC 6531 §3.5: 550 for MAIL, 553 for RCPT, with X.6.7.
    if path.needs_smtputf8:
        raise CommandRefused(Reply(code, "5.6.7", "non-ascii address needs SMTPUTF8"))
    raise syntax_error("domain with non-ascii characters needs SMTPUTF8")


def parse_auth(text: str, config: ServerConfig) -> Auth:
    """Read what follows AUTH: a mechanism in any case and perhaps an initial response."""
    name, space, response = text.partition(" ")
    if not config.pedantic:
        response = response.strip(" \t")
    if not _MECHANISM.fullmatch(name) or (space and not response):
        raise syntax_error("expected mechanism and base64 initial response")
    if not space:
        return Auth(name.upper(), None)
    # RFC 4954 §4: "=" is an initial response of no octets.
    return Auth(name.upper(), b"" if response == "=" else decode_base64(response.encode()))


def decode_base64(line: bytes) -> bytes:
    """Decode one line of an AUTH exchange."""
    if not line:
        return b""
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except ValueError as err:
        raise CommandRefused(Reply(501, "5.5.2", "bad base64")) from err


def encode_base64(data: bytes) -> bytes:
    return base64.b64encode(data)


def parse_bdat(text: str) -> tuple[int, bool]:
    """Read chunk size and LAST. Without a size the next command cannot be found: close."""
    match = _BDAT.fullmatch(text)
    if match is None:
        reply = Reply(501, "5.5.4", "expected BDAT size [LAST]")
        raise CommandRefused(reply, close=True)
    return int(match[1]), match[2] is not None


def parse_free_text(text: str) -> None:
    """Check the argument of VRFY and EXPN: a string, perhaps SMTPUTF8 (RFC 6531 §3.7.4.2)."""
    if not text.strip():
        raise syntax_error("expected an argument")
