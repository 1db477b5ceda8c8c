"""An SMTP server in threads of the test that takes everything and notes for whom, and what was cut.

A session that ends without QUIT is one whose client was killed: what it last sent is what may come
again.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import Counter
from typing import BinaryIO


class Sink(threading.Thread):
    """`taken` counts what was acknowledged, `cut` what the ends of sessions may have cut off.

    Both by subject, or by recipient if `by_recipient`.
    """

    def __init__(self, *, delay_s: float = 0.0, port: int = 0, by_recipient: bool = False) -> None:
        super().__init__(daemon=True)
        self.delay_s = delay_s
        self.by_recipient = by_recipient
        self.taken: Counter[bytes] = Counter()
        self.cut: Counter[bytes] = Counter()
        self.most_open = 0
        self.open = 0
        self._lock = threading.Lock()
        self._sock = socket.create_server(("127.0.0.1", port), backlog=200)
        self.port: int = self._sock.getsockname()[1]

    def run(self) -> None:
        while True:
            try:
                conn, _ = self._sock.accept()
            except OSError:  # closed
                return
            # Before the thread starts: who waits until none is open must not miss it.
            with self._lock:
                self.open += 1
                self.most_open = max(self.most_open, self.open)
            threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _serve(self, conn: socket.socket) -> None:
        session = _Session(self)
        # Closing writes what is left, too, and the client may have been killed.
        with contextlib.suppress(OSError), conn, conn.makefile("rwb") as file:
            session.talk(file)
        with self._lock:
            self.open -= 1
            if not session.has_quit:
                self.cut.update(session.last)

    def take(self, names: list[bytes]) -> None:
        time.sleep(self.delay_s)
        with self._lock:
            self.taken.update(names)


class _Session:
    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.has_quit = False
        self.recipients: list[bytes] = []
        self.last: list[bytes] = []  # of the latest transaction

    def talk(self, file: BinaryIO) -> None:
        def say(line: bytes) -> None:
            file.write(line + b"\r\n")
            file.flush()

        say(b"220 sink")
        while line := file.readline():
            verb = line[:4].upper()
            if verb == b"DATA":
                say(b"354 go on")
                if not self.data(file):
                    return
                say(b"250 taken")
            elif verb == b"EHLO":
                say(b"250-sink\r\n250 PIPELINING")
            elif verb == b"QUIT":
                self.has_quit = True
                say(b"221 bye")
                return
            else:
                if verb == b"MAIL":
                    self.recipients = []
                elif verb == b"RCPT":
                    self.recipients.append(line[9:].partition(b">")[0])
                say(b"250 ok")

    def data(self, file: BinaryIO) -> bool:
        names = list(self.recipients) if self.sink.by_recipient else []
        self.last = names
        while (text := file.readline()) != b".\r\n":
            if not text:
                return False
            if text.startswith(b"Subject: ") and not self.sink.by_recipient:
                names.append(text[9:].strip())
        self.sink.take(names)
        return True
