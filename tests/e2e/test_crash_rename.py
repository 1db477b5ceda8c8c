"""RENAME in workers that are killed: the mailbox is under the old name or the new one, whole."""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import signal
import threading
import time

from mox.store import open_store
from tests.support.accounts import look, recover
from tests.support.server import PASSWORD, USER, Server, eventually

NAMES = ("A", "B", "C/D")
# The keeper finishes what was cut short 5 to 10 seconds ago.
MENDED_S = 25
Gone = (OSError, imaplib.IMAP4.abort)


def login(server: Server) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", server.imap, timeout=60)
    client.login(USER, PASSWORD)
    return client


class Renamer(threading.Thread):
    """Renames the one mailbox with messages, over and over."""

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__(daemon=True)
        self.server, self.rng = server, random.Random(seed)
        self.stopping = False
        self.renamed = 0

    def run(self) -> None:
        while not self.stopping:
            with contextlib.suppress(*Gone):
                client = login(self.server)
                while not self.stopping:
                    old, new = self.rng.sample(NAMES, 2)
                    self.renamed += client.rename(old, new)[0] == "OK"


def messages(server: Server) -> dict[str, int]:
    """Tokens of all messages in the mailboxes that are renamed, and how often they are there."""
    client = login(server)
    found: dict[str, int] = {}
    try:
        for name in NAMES:
            typ, data = client.select(f'"{name}"', readonly=True)
            if typ != "OK" or data == [b"0"]:
                continue
            typ, data = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (X-Token)])")
            for item in data:
                if isinstance(item, tuple):
                    token = item[1].decode().split(": ")[1].strip()
                    found[token] = found.get(token, 0) + 1
    finally:
        client.logout()
    return found


def test_a_rename_cut_short_is_mended_while_the_server_runs(server: Server) -> None:
    client = login(server)
    client.create("A")
    for number in range(5):
        client.append("A", "", "", b"X-Token: t%d\r\n\r\nx\r\n" % number)  # type: ignore[arg-type]
    client.logout()
    expected = {f"t{number}": 1 for number in range(5)}
    rng = random.Random(1)
    renamer = Renamer(server, 1)
    renamer.start()
    for _ in range(3):
        before = renamer.renamed
        eventually(lambda before=before: renamer.renamed > before + 2, MENDED_S)  # type: ignore[misc]
        time.sleep(rng.random() * 0.05)  # any moment will do
        for pid in server.workers("imap"):
            os.kill(pid, signal.SIGKILL)
        # However a worker ended: renaming goes on, if only after a while.
    before = renamer.renamed
    eventually(lambda: renamer.renamed > before, MENDED_S)
    renamer.stopping = True
    renamer.join(60)
    eventually(lambda: messages(server) == expected, MENDED_S, 0.2)
    server.stop()
    store = open_store(server.directory)
    try:
        recover(store)
        account = store.find_account("mox")
        assert account is not None
        assert {token: len(places) for token, places in look(account).items()} == expected
    finally:
        store.close()
