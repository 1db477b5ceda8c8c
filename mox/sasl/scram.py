"""SCRAM's messages (RFC 5802 §5 and §7), shared by both sides.

Messages are UTF-8 text of attributes "x=value" with commas between. Whatever is wrong with one is
a `ScramError` whose text is a server-error-value of §7 where there is one.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64encode
from dataclasses import dataclass

from mox.errors import MoxError

MIN_NONCE = 8
_PRINTABLE = re.compile(r"[!-+\x2d-~]+")  # RFC 5802 §7: printable, without ","
_NAME_ESCAPE = re.compile(r"=(2C|3D)?", re.IGNORECASE)
_COUNT = re.compile(r"[1-9][0-9]{0,9}")


class ScramError(MoxError):
    """A message is malformed or says something that cannot be."""


@dataclass(frozen=True, slots=True)
class ClientFirst:
    """gs2-header and client-first-message-bare."""

    gs2_header: str  # as sent, with both commas
    binding: str  # "n", "y" or the name after "p="
    authzid: str
    bare: str
    username: str
    nonce: str


@dataclass(frozen=True, slots=True)
class ServerFirst:
    text: str
    nonce: str
    salt: bytes
    iterations: int


@dataclass(frozen=True, slots=True)
class ClientFinal:
    without_proof: str
    binding_input: bytes  # decoded c=
    nonce: str
    proof: bytes


def decode(message: bytes) -> str:
    try:
        text = message.decode("utf-8")
    except UnicodeDecodeError as err:
        raise ScramError("invalid-encoding") from err
    if "\0" in text:
        raise ScramError("invalid-encoding")
    return text


def parse_client_first(text: str) -> ClientFirst:
    # gs2-header = gs2-cbind-flag "," [ authzid ] ","
    flag, first, rest = text.partition(",")
    authzid, second, bare = rest.partition(",")
    if not first or not second:
        raise ScramError("other-error")
    if flag in ("n", "y"):
        binding = flag
    elif flag.startswith("p=") and _PRINTABLE.fullmatch(flag[2:]):
        binding = flag[2:]
    else:
        raise ScramError("other-error")
    if authzid:
        authzid = unescape_name(_value(authzid, "a"))
    fields = bare.split(",")
    if fields[0].startswith("m="):
        raise ScramError("extensions-not-supported")
    if len(fields) < 2:
        raise ScramError("other-error")
    username = unescape_name(_value(fields[0], "n"))
    nonce = _nonce(fields[1])
    if len(nonce) < MIN_NONCE:
        raise ScramError("other-error")
    gs2_header = f"{flag},{rest.removesuffix(bare)}"
    return ClientFirst(gs2_header, binding, authzid, bare, username, nonce)


def parse_server_first(text: str) -> ServerFirst:
    fields = text.split(",")
    if fields[0].startswith("m="):
        raise ScramError("extensions-not-supported")
    if len(fields) < 3:
        raise ScramError("other-error")
    count = _value(fields[2], "i")
    if not _COUNT.fullmatch(count):
        raise ScramError("other-error")
    return ServerFirst(text, _nonce(fields[0]), _base64(_value(fields[1], "s")), int(count))


def parse_client_final(text: str) -> ClientFinal:
    without_proof, comma, proof = text.rpartition(",")
    fields = without_proof.split(",")
    if not comma or len(fields) < 2:
        raise ScramError("other-error")
    return ClientFinal(
        without_proof,
        _base64(_value(fields[0], "c")),
        _nonce(fields[1]),
        _base64(_value(proof, "p"), "invalid-proof"),
    )


def parse_server_final(text: str) -> bytes:
    """Return the server's signature. A server-error is raised."""
    value = text.partition(",")[0]
    if value.startswith("e="):
        raise ScramError(value[2:])
    return _base64(_value(value, "v"))


def escape_name(name: str) -> str:
    return name.replace("=", "=3D").replace(",", "=2C")


def unescape_name(text: str) -> str:
    # RFC 5802 §5.1: "=" stands only in =2C and =3D.
    if any(not match[1] for match in _NAME_ESCAPE.finditer(text)):
        raise ScramError("invalid-username-encoding")
    name = _NAME_ESCAPE.sub(lambda match: "," if match[1].upper() == "2C" else "=", text)
    if not name:
        raise ScramError("invalid-username-encoding")
    return name


def encode64(data: bytes) -> str:
    return b64encode(data).decode()


def signature(key: bytes, auth_message: str, hash_name: str) -> bytes:
    """Return ClientSignature or ServerSignature."""
    return hmac.digest(key, auth_message.encode(), hash_name)


def xor(left: bytes, right: bytes) -> bytes:
    number = int.from_bytes(left, "big") ^ int.from_bytes(right, "big")
    return number.to_bytes(len(left), "big")


def _value(field: str, attribute: str) -> str:
    if not field.startswith(f"{attribute}="):
        raise ScramError("other-error")
    return field[2:]


def _nonce(field: str) -> str:
    nonce = _value(field, "r")
    if not _PRINTABLE.fullmatch(nonce):
        raise ScramError("other-error")
    return nonce


def _base64(text: str, problem: str = "invalid-encoding") -> bytes:
    try:
        return binascii.a2b_base64(text.encode(), strict_mode=True) if text else b""
    except ValueError as err:
        raise ScramError(problem) from err
