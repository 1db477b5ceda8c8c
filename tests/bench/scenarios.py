"""The measured stretches. Each takes a running server and reports through `report`."""

from __future__ import annotations

import resource
import select
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.bench.clients import IMAP, SMTP, messages
from tests.bench.limits import durable_files
from tests.support.server import Server


def report(name: str, value: float, unit: str, note: str = "") -> None:
    print(f"{name:<58}{value:>12,.1f} {unit:<8}{note}", flush=True)


def in_threads(workers: Sequence[Callable[[], None]]) -> float:
    """Run all at once; seconds until the last is done. A failure of one is raised."""
    errors: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=guarded, args=(work,)) for work in workers]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return time.perf_counter() - start


def timed(work: Callable[[], object], times: int = 3) -> float:
    """Milliseconds, the median of a few runs."""
    results = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        results.append((time.perf_counter() - start) * 1000)
    return sorted(results)[times // 2]


def processes(server: Server) -> list[int]:
    assert server.process is not None
    return [server.process.pid, *server.workers()]


def pss_kb(pids: Sequence[int]) -> int:
    """Proportional set size of processes, KB."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def startup(server: Server) -> None:
    start = time.perf_counter()
    server.start()
    report("start until all ports greet", (time.perf_counter() - start) * 1000, "ms")
    time.sleep(1)
    report("resident memory (PSS) of all processes", pss_kb(processes(server)) / 1024, "MB")


def smtp_in(server: Server, quick: bool) -> None:
    """Durable deliveries per second, kept sessions, 5 KB, beside the disk's raw limit."""
    client = IMAP(server.imap)
    scratch = server.directory.parent / "raw"
    for connections in (1, 16, 64):
        each = (400 if quick else 2000) // connections + 1
        before = _exists(client)

        def deliver(number: int, each: int = each) -> None:
            source = messages(5000, number * 100_000)
            session = SMTP(server.smtp)
            for _ in range(each):
                session.deliver(next(source))

        workers = [partial(deliver, n) for n in range(connections)]
        rate = connections * each / in_threads(workers)
        if _exists(client) != before + connections * each:
            raise RuntimeError("not every accepted message is in the mailbox")
        raw = durable_files(scratch, connections)
        note = f"{rate / raw:.2f} of the raw limit, {raw:,.0f} fsynced files/s"
        report(f"SMTP deliveries, {connections} connections", rate, "msg/s", note)


def _exists(client: IMAP) -> int:
    text = client.command(b"STATUS INBOX (MESSAGES)")
    return int(text.partition(b"MESSAGES ")[2].split(b")")[0])


def append(server: Server, quick: bool) -> None:
    for connections in (1, 8):
        each = (200 if quick else 1000) // connections

        def work(number: int, each: int = each) -> None:
            client = IMAP(server.imap)
            source = messages(5000, number * 100_000)
            for _ in range(each):
                client.append(next(source), b"Drafts")

        seconds = in_threads([partial(work, n) for n in range(connections)])
        report(f"APPEND, {connections} connections", each * connections / seconds, "msg/s")


def logins(server: Server, quick: bool) -> None:
    tls = server.tls()
    each = 20 if quick else 100

    def work() -> None:
        for _ in range(each):
            IMAP(server.imaps, tls).command(b"LOGOUT")

    IMAP(server.imaps, tls)
    report("logins over TLS, repeated, 4 connections", 4 * each / in_threads([work] * 4), "/s")


def idle(server: Server, connections: int) -> None:
    """Memory of idle TLS connections, and how soon they hear of a delivery."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    tls = server.tls()
    pids = server.workers("imap")
    clients: list[IMAP] = []

    def enter() -> None:
        client = IMAP(server.imaps, tls)
        client.command(b"SELECT INBOX")
        client.send(b"i IDLE\r\n")
        client.line()
        clients.append(client)

    for _ in range(8):
        enter()
    before = pss_kb(pids)
    start = time.perf_counter()
    while len(clients) < connections + 8:
        enter()
    report("opening idle connections", connections / (time.perf_counter() - start), "/s")
    time.sleep(1)
    each = (pss_kb(pids) - before) / connections
    report(f"{connections} idle TLS connections, memory of each", each, "KB")
    _wake_ups(server, clients)


def _wake_ups(server: Server, clients: Sequence[IMAP]) -> None:
    poll = select.epoll()
    for client in clients:
        poll.register(client.sock.fileno(), select.EPOLLIN)
    by_fd = {client.sock.fileno(): client for client in clients}
    session = SMTP(server.smtp)
    source = messages(2000, 9_000_000)
    latencies: list[float] = []
    for _ in range(10):
        waiting = set(by_fd)
        start = time.perf_counter()
        session.deliver(next(source))
        done = time.perf_counter()
        deadline = time.perf_counter() + 10
        while waiting and time.perf_counter() < deadline:
            for fd, _ in poll.poll(1):
                if fd in waiting and b"EXISTS" in by_fd[fd].sock.recv(65536):
                    waiting.discard(fd)
                    latencies.append(time.perf_counter() - min(start, done))
        if waiting:
            raise RuntimeError(f"{len(waiting)} idle connections were not told")
        time.sleep(0.3)
        _drain(poll, by_fd)
    latencies.sort()
    p50, p99 = latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100]
    note = "from the start of the delivery, all of them on one account"
    report(f"wake-up of all {len(clients)}, p50", p50 * 1000, "ms", note)
    report(f"wake-up of all {len(clients)}, p99", p99 * 1000, "ms")


def _drain(poll: select.epoll, by_fd: dict[int, IMAP]) -> None:
    while events := poll.poll(0):
        for fd, _ in events:
            by_fd[fd].sock.recv(65536)
