"""Memory of idle connections: python -m tests.bench.idle_memory [connections] [plain]

Opens connections to a worker process, sends some commands on each and then IDLE; prints the
worker's proportional set size per connection.
"""

from __future__ import annotations

import resource
import socket
import ssl
import sys

from tests.bench.workers import report, source_address, workers
from tests.serving.harness import client_tls

COMMANDS = (b"a LOGIN user password\r\n", b"b SELECT INBOX\r\n", b"IDLE\r\n")


def idle(port: int, number: int, context: ssl.SSLContext | None) -> socket.socket:
    """A connection that has had its greeting and answers, and now idles."""
    sock = socket.create_connection(("127.0.0.1", port), 10, (source_address(number), 0))
    if context is not None:
        sock = context.wrap_socket(sock)
    sock.recv(100)
    for line in COMMANDS:
        sock.sendall(line)
        sock.recv(100)
    return sock


def main() -> None:
    connections = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    context = None if "plain" in sys.argv else client_tls()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with workers(1, tls=context is not None) as (worker,):
        socks = [idle(worker.port, n, context) for n in range(20)]
        base = worker.pss_kb()
        socks += [idle(worker.port, n, context) for n in range(20, 20 + connections)]
        used = worker.pss_kb() - base
        report("worker with 20 connections", base / 1024, "MB")
        report("per idle connection", used / connections, "KB")
        del socks


if __name__ == "__main__":
    main()
