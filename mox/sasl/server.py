"""The server side of the mechanisms.

All have `step`: the first call gets the initial response, or None where the client gave none;
each later call the client's answer to the last `Challenge`. Once a step has returned `Success` or
`Failure` the exchange is over.

A failed SCRAM proof is answered with a last challenge ("e=…"), and a good one with the server's
signature; whatever the client says to either is ignored.
"""

from __future__ import annotations

from typing import Protocol

from mox.sasl.outcome import Outcome
from mox.sasl.verifiers import CramMD5Verifier, ScramHash, ScramVerifier


class Secrets(Protocol):
    """What the mechanisms ask for. Calls may take long; usernames come in NFC."""

    def check_password(self, username: str, password: str) -> bool:
        """Say whether the password, as the client sent it, is right."""

    def scram(self, username: str, hash_name: ScramHash) -> ScramVerifier | None:
        """Return the verifier; None for unknown users and users without one."""

    def cram_md5(self, username: str) -> CramMD5Verifier | None:
        """Return the verifier; None for unknown users and users without one."""

    def external(self, username: str) -> str | None:
        """Return the name the client's certificate stands for, if it agrees with `username`."""


class Mechanism(Protocol):
    """One exchange on the server's side."""

    def step(self, data: bytes | None) -> Outcome: ...
