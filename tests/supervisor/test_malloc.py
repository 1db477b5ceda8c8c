from __future__ import annotations

import subprocess
import sys

# In a process of its own: what it fills stays filled.
SCRIPT = """
from mox.supervisor.malloc import fill_holes, give_memory_back

give_memory_back()
blocks = [bytearray(3000) for _ in range(400)]
del blocks[::2]
first, second = fill_holes(), fill_holes()
print(first, second)
"""


def test_holes_are_filled_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    first, second = map(int, done.stdout.split())
    assert 200 * 2500 < first < 10_000_000
    assert second < first / 10
