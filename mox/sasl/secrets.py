"""What server mechanisms ask their shell for."""

from __future__ import annotations

from typing import Protocol

from mox.sasl.verifiers import CramMD5Verifier, ScramHash, ScramVerifier


class Secrets(Protocol):
    """Lookups by login name. Calls may take long; names come in NFC."""

    def check_password(self, username: str, password: str) -> bool:
        """Say whether the password, spelled as the client sent it, is right."""

    def scram(self, username: str, hash_name: ScramHash) -> ScramVerifier | None:
        """Return the verifier; None for unknown users and users without one."""

    def cram_md5(self, username: str) -> CramMD5Verifier | None:
        """Return the verifier; None for unknown users and users without one."""

    def external(self, username: str) -> str | None:
        """Return the login name that the client's certificate stands for.

        `username` is what the client asks for, "" for whatever it is; None: they disagree.
        """
