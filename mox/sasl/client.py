"""The client side of the mechanisms, by name."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from mox.sasl.crammd5 import CramMD5Client
from mox.sasl.plain import ExternalClient, LoginClient, PlainClient
from mox.sasl.scramclient import ScramClient
from mox.sasl.scramserver import BINDING_TYPES, Binding
from mox.sasl.server import NONCE_OCTETS, SCRAM_HASHES

# PLAIN and LOGIN give the password away: only where the configuration asks for them.
DEFAULT_ORDER = (
    "SCRAM-SHA-256-PLUS",
    "SCRAM-SHA-256",
    "SCRAM-SHA-1-PLUS",
    "SCRAM-SHA-1",
    "CRAM-MD5",
)


class Mechanism(Protocol):
    """One exchange on the client's side."""

    name: str

    def initial(self) -> bytes | None:
        """Return the initial response, None when the server speaks first."""

    def step(self, challenge: bytes) -> bytes:
        """Answer a challenge. Raises MoxError when it makes no sense: cancel then."""

    def finish(self) -> None:
        """To be called after the server's yes. Raises MoxError when it has proven nothing."""


def choose(
    announced: Collection[str], wanted: Sequence[str], binding: Binding | None
) -> str | None:
    """Return the first of the `wanted` mechanisms that can be used, None when none can."""
    has_binding = _binding_type(binding) is not None
    for name in wanted:
        if name in announced and (has_binding or not name.endswith("-PLUS")):
            return name
    return None


def mechanism(
    name: str,
    username: str,
    password: str,
    *,
    announced: Collection[str],
    binding: Binding | None,
    random: Callable[[int], bytes],
) -> Mechanism:
    """Begin an exchange with a mechanism that `choose` has returned."""
    if name == "PLAIN":
        return PlainClient(username, password)
    if name == "EXTERNAL":
        return ExternalClient(username)
    if name == "LOGIN":
        return LoginClient(username, password)
    if name == "CRAM-MD5":
        return CramMD5Client(username, password)
    base = name.removesuffix("-PLUS")
    flag, data = "n", b""
    kind = _binding_type(binding)
    if name != base and kind is not None and binding is not None:
        flag, data = f"p={kind}", binding(kind) or b""
    elif kind is not None and f"{base}-PLUS" not in announced:
        # RFC 5802 §6: we could bind, but think that the server cannot.
        flag = "y"
    nonce = b64encode(random(NONCE_OCTETS)).decode()
    return ScramClient(
        name,
        username,
        password,
        hash_name=SCRAM_HASHES[base],
        nonce=nonce,
        gs2_flag=flag,
        binding=data,
    )


def _binding_type(binding: Binding | None) -> str | None:
    if binding is None:
        return None
    return next((kind for kind in BINDING_TYPES if binding(kind) is not None), None)
