"""The server side of the mechanisms, by name.

All have `step`: the first call gets the initial response, or None where the client gave none;
each later call the client's answer to the last `Challenge`. Once a step has returned `Success` or
`Failure` the exchange is over.

A failed SCRAM proof is answered with a last challenge ("e=…"), and a good one with the server's
signature; whatever the client says to either is ignored.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mox.sasl.crammd5 import CramMD5Server
from mox.sasl.outcome import Outcome
from mox.sasl.plain import ExternalServer, LoginServer, PlainServer
from mox.sasl.scramserver import Binding, ScramServer, ScramSettings
from mox.sasl.secrets import Secrets
from mox.sasl.verifiers import ScramHash

SCRAM_HASHES: dict[str, ScramHash] = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}
# Best first, which is how they are announced.
WITH_BINDING = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
HASHED = ("SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5")
PLAINTEXT = ("PLAIN", "LOGIN")
NONCE_OCTETS = 12


class Mechanism(Protocol):
    """One exchange on the server's side."""

    def step(self, data: bytes | None) -> Outcome: ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What mechanisms need to know about a connection and its process."""

    secrets: Secrets
    announced: tuple[str, ...]
    hostname: str
    salt_key: bytes  # secret of the installation
    random: Callable[[int], bytes]
    binding: Binding | None = None  # None: no TLS


def mechanism(name: str, given: Surroundings) -> Mechanism:
    """Begin an exchange; `name` is one of the names above, in upper case, or EXTERNAL."""
    if name == "PLAIN":
        return PlainServer(given.secrets)
    if name == "LOGIN":
        return LoginServer(given.secrets)
    if name == "CRAM-MD5":
        return CramMD5Server(given.secrets, _challenge(given))
    if name == "EXTERNAL":
        return ExternalServer(given.secrets)
    return ScramServer(given.secrets, _scram_settings(name, given))


def _challenge(given: Surroundings) -> str:
    # RFC 2195 §2: like a message id, never the same twice
    left, right = (int.from_bytes(given.random(8), "big") for _ in range(2))
    return f"<{left}.{right}@{given.hostname}>"


def _scram_settings(name: str, given: Surroundings) -> ScramSettings:
    return ScramSettings(
        hash_name=SCRAM_HASHES[name.removesuffix("-PLUS")],
        is_plus=name.endswith("-PLUS"),
        plus_announced=any(each.endswith("-PLUS") for each in given.announced),
        nonce=b64encode(given.random(NONCE_OCTETS)).decode(),
        salt_key=given.salt_key,
        binding=given.binding,
    )
