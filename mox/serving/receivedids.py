"""The ids of this installation for Received fields: their key, made at first use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from mox.message.receivedid import SECRET_OCTETS, ReceivedIds

RECEIVED_ID_FILE: Final = "receivedid.key"


def load_received_ids(data_dir: Path) -> ReceivedIds:
    """Read the key; make it when there is none."""
    path = data_dir / RECEIVED_ID_FILE
    if not path.exists():
        _create(path)
    return ReceivedIds(path.read_bytes())


def _create(path: Path) -> None:
    tmp = path.with_name(f"{path.name}.{os.getpid()}")
    with open(tmp, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(os.urandom(SECRET_OCTETS))
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(tmp, path)
    except FileExistsError:
        return  # another worker was first: its key counts
    finally:
        tmp.unlink()
