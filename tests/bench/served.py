"""A worker process for benchmarks: `serve` with a tiny protocol, with or without TLS.

Each line is answered with "ok"; IDLE waits for a ring or the next line; QUIT ends.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path

from gevent import monkey

monkey.patch_all()

import gevent  # noqa: E402

from mox import logfmt  # noqa: E402
from mox.serving.connection import Connection, Wake  # noqa: E402
from mox.serving.context import Listen  # noqa: E402
from mox.serving.limits import Limits  # noqa: E402
from mox.serving.server import serve  # noqa: E402
from mox.store.ephemeral import open_ephemeral  # noqa: E402
from tests.serving.harness import (  # noqa: E402
    ADMISSION,
    FakeCertificates,
    FakeContext,
    listen_on,
    tls_context,
)


def talk(conn: Connection) -> None:
    conn.send(b"* ready\r\n")
    while line := conn.recv(1800, idle=True):
        if line.startswith(b"QUIT"):
            conn.send(b"bye\r\n")
            return
        conn.send(b"ok\r\n")
        if line.startswith(b"IDLE"):
            conn.wait(1740, Wake())


def run(listens: list[Listen], slot: int, data_dir: Path) -> None:
    limits = Limits(open_ephemeral(data_dir), slot)
    context = FakeContext(listens, limits, FakeCertificates(tls_context()), slot=slot)
    gevent.signal_handler(signal.SIGTERM, context.stopping.set)
    serve(context, talk, ADMISSION, grace_s=1)


def main() -> None:
    """Run one worker on a port of its own, told on standard output."""
    logfmt.configure("error")
    listen = listen_on("imaps", implicit_tls=sys.argv[2] == "tls")
    listen.sock.listen(2048)
    sys.stdout.write(f"{listen.port}\n")
    sys.stdout.flush()
    run([listen], int(sys.argv[1]), Path(sys.argv[3]))


if __name__ == "__main__":
    main()
