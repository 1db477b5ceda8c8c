"""SCRAM, server side (RFC 5802, RFC 7677)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass

from mox.sasl import scram
from mox.sasl.outcome import Challenge, Failure, Outcome, Reason, Success
from mox.sasl.prepare import prepare_username
from mox.sasl.scram import ClientFinal, ClientFirst, ScramError
from mox.sasl.secrets import Secrets
from mox.sasl.verifiers import ITERATIONS, SALT_OCTETS, ScramHash, ScramVerifier

Binding = Callable[[str], bytes | None]
BINDING_TYPES = ("tls-exporter", "tls-unique")


@dataclass(frozen=True, slots=True)
class ScramSettings:
    """What the exchange needs besides the client's messages."""

    hash_name: ScramHash
    is_plus: bool  # the mechanism's name ends in -PLUS
    plus_announced: bool
    nonce: str  # ours, random
    salt_key: bytes  # secret, the same for all connections: for unknown users' salts
    binding: Binding | None  # channel binding data by type; None: no TLS


class ScramServer:
    """client-first → server-first → client-final → server-final (→ anything)."""

    def __init__(self, secrets: Secrets, settings: ScramSettings) -> None:
        self._secrets = secrets
        self._settings = settings
        self._first: ClientFirst | None = None
        self._server_first = ""
        self._verifier: ScramVerifier | None = None
        self._is_known = False
        self._result: Outcome | None = None

    def step(self, data: bytes | None) -> Outcome:
        # RFC 5802 §5: what comes after server-final has no content that counts.
        if self._result is not None:
            return self._result
        if data is None:
            return Challenge(b"")
        try:
            text = scram.decode(data)
            if self._first is None:
                return self._begin(scram.parse_client_first(text))
            return self._end(self._first, scram.parse_client_final(text))
        except ScramError as err:
            return self._failed(str(err), Reason.PROTOCOL)

    def _begin(self, first: ClientFirst) -> Outcome:
        refusal = self._check_binding_flag(first)
        if refusal is not None:
            return refusal
        username = prepare_username(first.username)
        if first.authzid and prepare_username(first.authzid) != username:
            return Failure(Reason.AUTHZID, username)
        self._first = first
        verifier = self._secrets.scram(username, self._settings.hash_name)
        self._is_known = verifier is not None
        self._verifier = verifier or self._fake(username)
        self._server_first = (
            f"r={first.nonce}{self._settings.nonce}"
            f",s={scram.encode64(self._verifier.salt)},i={self._verifier.iterations}"
        )
        return Challenge(self._server_first.encode())

    def _check_binding_flag(self, first: ClientFirst) -> Failure | None:
        settings = self._settings
        name = first.username
        if first.binding in ("n", "y"):
            if settings.is_plus:
                return Failure(Reason.PROTOCOL, name, "mechanism needs channel binding")
            # RFC 5802 §6: "y" where we announced -PLUS: someone took it off our list.
            if first.binding == "y" and settings.plus_announced:
                return Failure(Reason.PROTOCOL, name, "server-does-support-channel-binding")
            return None
        if settings.binding is None:
            return Failure(Reason.NEEDS_TLS, name)
        if first.binding not in BINDING_TYPES or settings.binding(first.binding) is None:
            return Failure(Reason.PROTOCOL, name, "unsupported-channel-binding-type")
        return None

    def _fake(self, username: str) -> ScramVerifier:
        # RFC 5802 §9: an unknown user gets a salt that stays the same, so that nothing shows.
        settings = self._settings
        what = f"{settings.hash_name}\0{username.lower()}".encode()
        secret = hmac.digest(settings.salt_key, what, "sha512")
        size = hashlib.new(settings.hash_name).digest_size
        return ScramVerifier(
            secret[:SALT_OCTETS],
            ITERATIONS[settings.hash_name],
            secret[-size:],
            secret[-size:],
        )

    def _end(self, first: ClientFirst, final: ClientFinal) -> Outcome:
        assert self._verifier is not None
        if not hmac.compare_digest(self._binding_input(first), final.binding_input):
            return self._failed("channel-bindings-dont-match", Reason.BINDING)
        if not hmac.compare_digest(first.nonce + self._settings.nonce, final.nonce):
            return self._failed("other-error", Reason.PROTOCOL)
        auth_message = f"{first.bare},{self._server_first},{final.without_proof}"
        if not self._proof_is_right(self._verifier, auth_message, final.proof):
            return self._failed("invalid-proof", Reason.CREDENTIALS)
        username = prepare_username(first.username)
        self._result = Success(username, first.authzid)
        key = self._verifier.server_key
        proof = scram.signature(key, auth_message, self._settings.hash_name)
        return Challenge(f"v={scram.encode64(proof)}".encode())

    def _binding_input(self, first: ClientFirst) -> bytes:
        data = b""
        if first.binding not in ("n", "y") and self._settings.binding is not None:
            data = self._settings.binding(first.binding) or b""
        return first.gs2_header.encode() + data

    def _proof_is_right(self, verifier: ScramVerifier, auth_message: str, proof: bytes) -> bool:
        hash_name = self._settings.hash_name
        expected = scram.signature(verifier.stored_key, auth_message, hash_name)
        if len(proof) != len(expected):
            return False
        # RFC 5802 §3: ClientKey = ClientProof XOR ClientSignature; H(ClientKey) is StoredKey
        client_key = scram.xor(proof, expected)
        stored = hashlib.new(hash_name, client_key).digest()
        return hmac.compare_digest(stored, verifier.stored_key) and self._is_known

    def _failed(self, error: str, reason: Reason) -> Outcome:
        username = self._first.username if self._first else ""
        failure = Failure(reason, username, error)
        if self._first is None:
            return failure
        # RFC 5802 §7: server-error in server-final; the client answers once more.
        self._result = failure
        return Challenge(f"e={error}".encode())
