"""The id in Received fields: a connection number that only its server can read.

AES-128 in ECB mode over exactly one block: 8 octets fixed per installation, then the 64-bit
connection number. The same number gives the same id, so a log line is found from a header.
"""

from __future__ import annotations

import base64
import binascii

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from mox.errors import UserError

SECRET_OCTETS = 24
_TEXT_CHARS = 22


class ReceivedIds:
    """Makes and reads ids. `secret` is 24 octets: the key (16) and the fixed part (8)."""

    def __init__(self, secret: bytes) -> None:
        if len(secret) != SECRET_OCTETS:
            raise UserError(f"received-id secret must be {SECRET_OCTETS} octets")
        # One block that is never repeated with other data: ECB leaks nothing here.
        self._cipher = Cipher(algorithms.AES128(secret[:16]), modes.ECB())  # noqa: S305
        # Blocks do not depend on each other: it is never finished, and serves for all.
        self._encryptor = self._cipher.encryptor()
        self._fixed = secret[16:]

    def encode(self, number: int) -> str:
        """Return the 22 characters for a connection number."""
        block = self._encryptor.update(self._fixed + number.to_bytes(8, "big"))
        return base64.urlsafe_b64encode(block).rstrip(b"=").decode()

    def decode(self, text: str) -> int | None:
        """Return the connection number, None when this installation did not make the id."""
        if len(text) != _TEXT_CHARS:
            return None
        try:
            block = base64.b64decode(text + "==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        decryptor = self._cipher.decryptor()
        plain = decryptor.update(block) + decryptor.finalize()
        if plain[:8] != self._fixed:
            return None
        return int.from_bytes(plain[8:], "big")
