"""SCRAM, client side (RFC 5802, RFC 7677)."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable

from mox.sasl import scram
from mox.sasl.prepare import prepare_password
from mox.sasl.scram import ScramError, ServerFirst
from mox.sasl.verifiers import ScramHash

# RFC 7677 §4: at least 4096. More than the upper bound is an attack on our processor.
MIN_ITERATIONS = 4096
MAX_ITERATIONS = 1_000_000


class ScramClient:
    """One exchange. `finish` tells whether the server knew the password, too."""

    def __init__(
        self,
        name: str,
        username: str,
        password: str,
        *,
        hash_name: ScramHash,
        nonce: str,
        gs2_flag: str,
        binding: bytes = b"",
    ) -> None:
        """`gs2_flag` is "n", "y" or "p=<type>", with the channel's data in `binding`."""
        self.name = name
        self._password = prepare_password(password)
        self._hash: ScramHash = hash_name
        self._nonce = nonce
        self._gs2_header = f"{gs2_flag},,"
        self._binding = binding
        self._bare = f"n={scram.escape_name(username)},r={nonce}"
        self._next: Callable[[bytes], bytes] = self._on_server_first
        self._server_signature = b""
        self._verified = False

    def initial(self) -> bytes | None:
        return (self._gs2_header + self._bare).encode()

    def step(self, challenge: bytes) -> bytes:
        """Answer a challenge. Raises ScramError when the server does not keep to the rules."""
        return self._next(challenge)

    def finish(self) -> None:
        """Check, after the server has said yes, that it has proven itself."""
        if not self._verified:
            raise ScramError("server did not prove that it knows the password")

    def _on_server_first(self, challenge: bytes) -> bytes:
        if not challenge:
            # The server did not take the initial response and asks for it.
            return self.initial() or b""
        first = scram.parse_server_first(scram.decode(challenge))
        if not first.nonce.startswith(self._nonce) or len(first.nonce) == len(self._nonce):
            raise ScramError("server changed our nonce")
        if not MIN_ITERATIONS <= first.iterations <= MAX_ITERATIONS:
            raise ScramError(f"server asks for {first.iterations} iterations")
        self._next = self._on_server_final
        return self._client_final(first)

    def _client_final(self, first: ServerFirst) -> bytes:
        salted = hashlib.pbkdf2_hmac(
            self._hash, self._password.encode(), first.salt, first.iterations
        )
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        server_key = hmac.digest(salted, b"Server Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        channel = scram.encode64(self._gs2_header.encode() + self._binding)
        without_proof = f"c={channel},r={first.nonce}"
        auth_message = f"{self._bare},{first.text},{without_proof}"
        proof = scram.xor(client_key, scram.signature(stored_key, auth_message, self._hash))
        self._server_signature = scram.signature(server_key, auth_message, self._hash)
        return f"{without_proof},p={scram.encode64(proof)}".encode()

    def _on_server_final(self, challenge: bytes) -> bytes:
        proof = scram.parse_server_final(scram.decode(challenge))
        if not hmac.compare_digest(proof, self._server_signature):
            raise ScramError("server does not know the password")
        self._verified = True
        return b""
