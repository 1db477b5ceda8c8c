"""TLS sessions per second: python -m tests.bench.handshakes [workers] [seconds]

Each session: connect, handshake, greeting, one command, QUIT, end. Four client processes (the
standard library) run on the same machine.
"""

from __future__ import annotations

import multiprocessing
import socket
import ssl
import sys
import time
from multiprocessing.queues import SimpleQueue

from tests.bench.workers import report, source_address, workers
from tests.serving.harness import client_tls

CLIENTS = 4


def session(port: int, context: ssl.SSLContext, source: str) -> None:
    with (
        socket.create_connection(("127.0.0.1", port), 10, (source, 0)) as raw,
        context.wrap_socket(raw) as sock,
    ):
        for line in (b"", b"NOOP\r\n", b"QUIT\r\n"):
            if line:
                sock.sendall(line)
            sock.recv(100)
        sock.recv(100)


def client(number: int, port: int, seconds: float, done: SimpleQueue[int]) -> None:
    context = client_tls()
    end = time.monotonic() + seconds
    sessions = 0
    while time.monotonic() < end:
        session(port, context, source_address(number + CLIENTS * sessions))
        sessions += 1
    done.put(sessions)


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 3.0
    fork = multiprocessing.get_context("fork")
    with workers(count) as started:
        before = sum(worker.cpu_s() for worker in started)
        done: SimpleQueue[int] = fork.SimpleQueue()
        clients = [
            fork.Process(target=client, args=(n, started[n % count].port, seconds, done))
            for n in range(CLIENTS)
        ]
        for process in clients:
            process.start()
        sessions = sum(done.get() for _ in clients)
        used = sum(worker.cpu_s() for worker in started) - before
        report("TLS sessions", sessions / seconds, "/s")
        report("server CPU per session", used / sessions * 1e6, "µs")


if __name__ == "__main__":
    main()
