"""Schemathesis makes calls of the OpenAPI description, right and wrong ones, and finds nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

from mox.webapi.methods import METHODS
from tests.e2e.schemathesis.hooks import MESSAGES
from tests.support.server import PASSWORD, USER, Server, eventually

MESSAGE = b"""\
Subject: %d
Content-Type: multipart/mixed; boundary=x

--x

text
--x
Content-Disposition: attachment; filename="a.bin"
Content-Transfer-Encoding: base64

AAEC
--x--
"""
HERE = Path(__file__).parent / "schemathesis"
ROOT = Path(__file__).parent.parent.parent


def test_nothing_is_found(server: Server, tmp_path: Path) -> None:
    """By any check but the one with wrong passwords: then nobody may log in for a minute."""
    for number in range(MESSAGES):
        server.deliver(MESSAGE.replace(b"\n", b"\r\n") % number)
    eventually(lambda: server.count() == MESSAGES, 30)
    program = Path(sys.executable).parent / "schemathesis"
    words = [
        *(program, "--config-file", HERE / "schemathesis.toml"),
        *("run", f"http://localhost:{server.http}/webapi/v0/openapi.json", "-a"),
        *(f"{USER}:{PASSWORD}", "--seed", "1", "--max-examples", "60", "--continue-on-failure"),
        *("--exclude-checks", "ignored_auth", "--no-color"),
    ]
    env = {
        **os.environ,
        "SCHEMATHESIS_HOOKS": "tests.e2e.schemathesis.hooks",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [str(word) for word in words],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    assert re.search(r"No issues found|(\d+) generated, \1 passed", done.stdout), done.stdout
    results = outcomes(server)
    assert {method for method, result in results if result == "ok"} == METHODS.keys()
    assert {result for _, result in results} & {"internal", "server"} == set()
    assert sum(results.values()) > 1000
    assert "l=error" not in server.log


def outcomes(server: Server) -> dict[tuple[str, str], int]:
    """How many calls had which result."""
    with urlopen(f"http://localhost:{server.metrics}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    found = re.findall(
        r'^mox_webapi_results_total{method="(\w+)",result="(\w+)"} ([\d.]+)$', text, re.MULTILINE
    )
    return {(method, result): int(float(count)) for method, result, count in found}
