"""Connection ids as they appear in replies and Received fields.

An id is the encrypted connection number: short, unique, tells outsiders nothing about how much
mail there is, and leads the administrator, who has the key, back to the log lines.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

from mox.errors import UserError

KEY_FILE: Final = "receivedid.key"
KEY_OCTETS: Final = 24  # 16 for the cipher, 8 to fill the block


class ReceivedIds:
    """Turns connection numbers into ids and back, with one installation's key."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_OCTETS:
            raise ValueError(f"key of received ids must have {KEY_OCTETS} octets")
        # One block of unique content: no mode is needed beyond the cipher itself.
        cipher = Cipher(AES(key[:16]), ECB())  # noqa: S305
        self._fill = key[16:]
        self._encryptor = cipher.encryptor()
        self._decryptor = cipher.decryptor()

    def encode(self, cid: int) -> str:
        """Return the 22-character id of a connection number."""
        block = self._encryptor.update(self._fill + cid.to_bytes(8, "big"))
        return base64.urlsafe_b64encode(block)[:22].decode("ascii")

    def decode(self, text: str) -> int:
        """Return the connection number of an id of ours. Raises UserError for any other text."""
        try:
            block = base64.urlsafe_b64decode(text + "==")
        except ValueError as e:
            raise UserError("not a received id") from e
        plain = self._decryptor.update(block) if len(block) == 16 else b""
        if plain[:8] != self._fill:
            raise UserError("not a received id of this installation")
        return int.from_bytes(plain[8:], "big")


def load(data_dir: Path) -> ReceivedIds:
    """Read the installation's key; make one when there is none. Safe against other processes."""
    path = data_dir / KEY_FILE
    if not path.exists():
        _create(path)
    return ReceivedIds(path.read_bytes())


def _create(path: Path) -> None:
    tmp = path.with_name(f"{path.name}.{os.getpid()}")
    tmp.write_bytes(os.urandom(KEY_OCTETS))
    tmp.chmod(0o600)
    try:
        os.link(tmp, path)  # fails when another process was first: its key is in use then
    except FileExistsError:
        return
    finally:
        tmp.unlink()
