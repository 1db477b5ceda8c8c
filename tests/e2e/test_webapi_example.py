"""The example program, with the configuration that it asks for."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from pathlib import Path

from tests.support.server import PASSWORD, Server

ROOT = Path(__file__).parent.parent.parent
PROGRAM = ROOT / "docs/examples/orders.py"
DOCUMENT = ROOT / "docs/webapi.md"


def test_it_sends_hears_of_a_bounce_and_reads_mail(server: Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    [block] = re.findall(
        r"^```sconf\n(\t\t.*?)^```$", DOCUMENT.read_text(), re.DOTALL | re.MULTILINE
    )
    webhooks = block.replace("8025", str(port))
    assert webhooks.count(str(port)) == 2
    server.stop()
    account = "\tmox:\n"
    server.edit("domains.conf", account, f"{account}{webhooks}")
    server.start()
    url = f"http://mox%40localhost:{PASSWORD}@localhost:{server.http}/webapi/"
    for _ in range(2):  # it leaves things as they were
        done = subprocess.run(
            [sys.executable, str(PROGRAM), url, str(port)],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "order 1001: delivered" in done.stdout
        assert "order 1002: failed 550" in done.stdout
        assert "mail from mox@localhost: Your order 1001" in done.stdout
    assert server.count("Archive") == 2
