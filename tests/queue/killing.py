"""Processes that deliver and submit until they are killed.

`python -m tests.queue.killing` is the nursery: it imports once and forks a process for each line
that it reads, and answers with its pid:

    queue CONFIG                     delivers what is queued
    submit CONFIG JOURNAL COUNT      keeps about COUNT messages queued, notes recipients in JOURNAL
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path
from types import SimpleNamespace

import gevent

from mox.config import load
from mox.dns import Resolver
from mox.queue.services import Services
from mox.queue.worker import deliver
from mox.serving.context import Context
from mox.store import open_store
from mox.store.outgoing import Outgoing
from mox.store.outgoing_records import QueueAddress, QueueMessage

SENDER = QueueAddress("mjl", "example.org", "example.org")
BODY = b"From: <mjl@example.org>\r\nSubject: hello\r\n\r\n" + b"some text\r\n" * 50
# A message is interrupted more often here than elsewhere.
MAX_ATTEMPTS = 1000
# Each has this many recipients in turn: alone, and sharing a transaction.
RECIPIENTS = (1, 1, 3)


def deliver_queued(config: Path) -> None:
    ctx = Context(
        kind="queue",
        slot=0,
        config_source=SimpleNamespace(current=load(config, check_files=False)),
    )
    # Nobody is asked: all goes to a smarthost on this machine.
    deliver(ctx, Services(ctx, Resolver(server="127.0.0.1:1")))


def submit(config: Path, journal: Path, wanted: int) -> None:
    store = open_store(load(config, check_files=False).data_dir)
    outgoing = Outgoing(store)
    fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    number = 0
    while True:
        while outgoing.count() >= wanted:
            gevent.sleep(0.01)
        number += 1
        now = time.time()
        names = [f"u{number}-{n}" for n in range(RECIPIENTS[number % len(RECIPIENTS)])]
        messages = [
            QueueMessage(
                queued=now,
                next_attempt=now,
                sender_account="mjl",
                sender=SENDER,
                recipient=QueueAddress(name, "there.example", "there.example"),
                max_attempts=MAX_ATTEMPTS,
                size=len(BODY),
            )
            for name in names
        ]
        with store.spool() as spool:
            spool.write(BODY)
            outgoing.add(messages, outgoing.content(spool))
        os.write(fd, "".join(f"{name}@there.example\n" for name in names).encode())


def nursery() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        what, config, *more = line.split()
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        try:
            if what == "queue":
                deliver_queued(Path(config))
            else:
                submit(Path(config), Path(more[0]), int(more[1]))
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)


if __name__ == "__main__":
    nursery()
