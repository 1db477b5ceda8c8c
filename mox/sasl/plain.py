"""PLAIN (RFC 4616), LOGIN and EXTERNAL (RFC 4422 appendix A): what is sent is what is checked."""

from __future__ import annotations

from mox.sasl.outcome import Challenge, Failure, Outcome, Reason, Success
from mox.sasl.prepare import prepare_username
from mox.sasl.secrets import Secrets


class PlainServer:
    """One message: authzid NUL authcid NUL password."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def step(self, data: bytes | None) -> Outcome:
        if data is None:
            return Challenge(b"")
        try:
            fields = data.decode("utf-8").split("\0")
        except UnicodeDecodeError:
            return Failure(Reason.ENCODING)
        # RFC 4616 §2: both names of an authcid and a password have at least one character.
        if len(fields) != 3 or not fields[1] or not fields[2]:
            return Failure(Reason.MALFORMED)
        authzid, username = map(prepare_username, fields[:2])
        if authzid not in ("", username):
            return Failure(Reason.AUTHZID, username)
        return _check(self._secrets, username, fields[2], authzid)


class LoginServer:
    """User name and password, each after its prompt; the name may come at once."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets
        self._prompted = False
        self._username: str | None = None

    def step(self, data: bytes | None) -> Outcome:
        if data is None and not self._prompted:
            self._prompted = True
            return Challenge(b"Username:")
        try:
            text = (data or b"").decode("utf-8")
        except UnicodeDecodeError:
            return Failure(Reason.ENCODING, self._username or "")
        if not text or "\0" in text:
            return Failure(Reason.MALFORMED, self._username or "")
        if self._username is None:
            self._username = prepare_username(text)
            return Challenge(b"Password:")
        return _check(self._secrets, self._username, text)


class ExternalServer:
    """The identity of the TLS client certificate; the message is empty or the login name."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def step(self, data: bytes | None) -> Outcome:
        if data is None:
            return Challenge(b"")
        try:
            wanted = prepare_username(data.decode("utf-8"))
        except UnicodeDecodeError:
            return Failure(Reason.ENCODING)
        username = self._secrets.external(wanted)
        if username is None:
            return Failure(Reason.CREDENTIALS, wanted)
        return Success(username, wanted)


def _check(secrets: Secrets, username: str, password: str, authzid: str = "") -> Outcome:
    if secrets.check_password(username, password):
        return Success(username, authzid)
    return Failure(Reason.CREDENTIALS, username)


class PlainClient:
    """Our side of PLAIN."""

    name = "PLAIN"

    def __init__(self, username: str, password: str) -> None:
        self._message = f"\0{username}\0{password}".encode()

    def initial(self) -> bytes | None:
        return self._message

    def step(self, challenge: bytes) -> bytes:
        return self._message if not challenge else b""

    def finish(self) -> None:
        """PLAIN proves nothing about the server; TLS has to."""


class LoginClient:
    """Our side of LOGIN. The prompts differ between servers, so only their number counts."""

    name = "LOGIN"

    def __init__(self, username: str, password: str) -> None:
        self._answers = [username.encode(), password.encode()]

    def initial(self) -> bytes | None:
        return None

    def step(self, challenge: bytes) -> bytes:
        return self._answers.pop(0) if self._answers else b""

    def finish(self) -> None:
        """LOGIN proves nothing about the server; TLS has to."""


class ExternalClient:
    """Our side of EXTERNAL."""

    name = "EXTERNAL"

    def __init__(self, authzid: str = "") -> None:
        self._message = authzid.encode()

    def initial(self) -> bytes | None:
        return self._message

    def step(self, challenge: bytes) -> bytes:
        return self._message

    def finish(self) -> None:
        """TLS has done all the proving."""
