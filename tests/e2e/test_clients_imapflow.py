"""imapflow, of npm: compression, QRESYNC, IDLE, UTF-8 names and what it makes of our answers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.server import Server

MODULES = Path(sys.prefix) / "npm"
SCRIPT = Path(__file__).with_name("imapflow_session.mjs")


def test_a_session(shared: Server) -> None:
    assert MODULES.is_dir(), "run make tools"
    words = ["node", str(SCRIPT), str(MODULES), str(shared.imaps), str(shared.certificate)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-3000:]
    seen = json.loads(done.stdout)
    assert seen["enabled"] == ["CONDSTORE", "IMAP4REV2", "QRESYNC", "UTF8=ACCEPT"]
    assert seen["compressed"]
    assert seen["server"]["name"] == "mox"
    assert seen["paths"] == [["flow", 0], ["flow/töst", 0]]
    assert seen["appended"] == [1, "flow/töst"]
    assert seen["exists"] == 2
    one, two = seen["messages"]
    assert one[:2] == [1, "eins"]
    assert {"\\Seen", "$Label1"} <= set(one[2])
    assert one[3:] == [len(b"Subject: eins\r\n\r\nText eins\r\n"), "text/plain"]
    assert two[:2] == [2, "zwei"]
    assert seen["found"] == seen["flagged"] == [2]
    assert seen["moved"] == 1
    assert seen["downloaded"] == "Text zwei\r\n"
    assert seen["heardExists"] == 2
    assert "\\Answered" in seen["heardFlags"]
    assert seen["heardExpunge"] == ["vanished", 2]
    assert seen["changed"] == [3]


@pytest.mark.parametrize("file", ["package.json", "package-lock.json"])
def test_the_modules_are_those_of_the_checkout(file: str) -> None:
    ours = Path(__file__).parent.parent / "support" / "npm" / file
    assert (MODULES / file).read_text() == ours.read_text(), "run make tools"
