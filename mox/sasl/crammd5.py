"""CRAM-MD5 (RFC 2195): HMAC-MD5 of a challenge. Kept for old clients; SCRAM is better."""

from __future__ import annotations

import hmac

from mox.sasl.md5 import BLOCK, digest_from
from mox.sasl.outcome import Challenge, Failure, Outcome, Reason, Success
from mox.sasl.prepare import prepare_username
from mox.sasl.secrets import Secrets
from mox.sasl.verifiers import CramMD5Verifier

_NOBODY = CramMD5Verifier(bytes(16), bytes(16))


def hmac_md5(verifier: CramMD5Verifier, data: bytes) -> bytes:
    """Return HMAC-MD5 (RFC 2104 §2) with a stored key."""
    return digest_from(verifier.outer, BLOCK, digest_from(verifier.inner, BLOCK, data))


class CramMD5Server:
    """Challenge first, then "user hexdigest"."""

    def __init__(self, secrets: Secrets, challenge: str) -> None:
        """`challenge` must never come twice: `<random.time@host>`."""
        self._secrets = secrets
        self._challenge = challenge.encode()
        self._challenged = False

    def step(self, data: bytes | None) -> Outcome:
        if not self._challenged:
            self._challenged = True
            # RFC 4422 §3.3: where the server speaks first there is no initial response.
            return Failure(Reason.MALFORMED) if data is not None else Challenge(self._challenge)
        try:
            name, space, digest = (data or b"").decode("utf-8").rpartition(" ")
        except UnicodeDecodeError:
            return Failure(Reason.ENCODING)
        username = prepare_username(name)
        if not space or not name or len(digest) != 32:
            return Failure(Reason.MALFORMED, username)
        verifier = self._secrets.cram_md5(username)
        wanted = hmac_md5(verifier or _NOBODY, self._challenge).hex()
        if hmac.compare_digest(wanted.encode(), digest.lower().encode()) and verifier is not None:
            return Success(username)
        return Failure(Reason.CREDENTIALS, username)


class CramMD5Client:
    """Our side of CRAM-MD5."""

    name = "CRAM-MD5"

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password

    def initial(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        digest = hmac.new(self._password.encode(), challenge, "md5").hexdigest()
        return f"{self._username} {digest}".encode()

    def finish(self) -> None:
        """CRAM-MD5 proves nothing about the server."""
