"""Server surroundings with one user, and a driver for exchanges."""

from __future__ import annotations

from dataclasses import dataclass, field

from mox.sasl import client, server
from mox.sasl.outcome import Challenge, Outcome
from mox.sasl.prepare import PasswordError, prepare_password
from mox.sasl.scramserver import Binding
from mox.sasl.verifiers import (
    CramMD5Verifier,
    ScramHash,
    ScramVerifier,
    cram_md5_verifier,
    scram_verifier,
)

USER = "user@mox.example"
PASSWORD = "pässword €"


@dataclass
class OneUser:
    """Secrets of a single user."""

    username: str = USER
    password: str = PASSWORD
    iterations: int = 4096
    asked: list[str] = field(default_factory=list)

    def check_password(self, username: str, password: str) -> bool:
        self.asked.append(username)
        try:
            return username == self.username and prepare_password(password) == self.password
        except PasswordError:
            return False

    def scram(self, username: str, hash_name: ScramHash) -> ScramVerifier | None:
        if username != self.username:
            return None
        return scram_verifier(self.password, hash_name, b"salt" * 3, self.iterations)

    def cram_md5(self, username: str) -> CramMD5Verifier | None:
        return cram_md5_verifier(self.password) if username == self.username else None

    def external(self, username: str) -> str | None:
        return self.username if username in ("", self.username) else None


def surroundings(
    secrets: OneUser | None = None,
    announced: tuple[str, ...] = (*server.HASHED, *server.PLAINTEXT),
    binding: Binding | None = None,
) -> server.Surroundings:
    return server.Surroundings(
        secrets=secrets or OneUser(),
        announced=announced,
        hostname="mox.example",
        salt_key=b"k" * 32,
        random=lambda count: b"r" * count,
        binding=binding,
    )


def drive(ours: server.Mechanism, theirs: client.Mechanism, *, initial: bool = True) -> Outcome:
    """Let the two talk until the server has decided."""
    outcome = ours.step(theirs.initial() if initial else None)
    for _ in range(6):
        if not isinstance(outcome, Challenge):
            return outcome
        outcome = ours.step(theirs.step(outcome.data))
    raise AssertionError("no end")
