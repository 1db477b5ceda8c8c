"""What the disk can do at most: new files made durable, as a mail server has to."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

_SECONDS = 2.0


def durable_files(directory: Path, writers: int, size: int = 5000) -> float:
    """Files per second: create, write, fsync, rename, fsync of the directory; threads."""
    for sub in ("tmp", "new"):
        (directory / sub).mkdir(parents=True, exist_ok=True)
    data = b"x" * size
    counts = [0] * writers
    end = time.perf_counter() + _SECONDS

    def work(number: int) -> None:
        fd = os.open(directory / "new", os.O_RDONLY)
        while time.perf_counter() < end:
            name = f"{number}.{counts[number]}"
            file = os.open(directory / "tmp" / name, os.O_WRONLY | os.O_CREAT, 0o600)
            os.write(file, data)
            os.fsync(file)
            os.close(file)
            os.rename(directory / "tmp" / name, directory / "new" / name)
            os.fsync(fd)
            counts[number] += 1
        os.close(fd)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) / _SECONDS
