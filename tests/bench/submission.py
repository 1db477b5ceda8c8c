"""Submission until another server has the mail: rates at 1 and 20 destinations, and how soon.

A whole server, `mox serve`, signs with RSA of 2048 bits and delivers to the MX hosts of its fake
DNS, which all are one sink.
"""

from __future__ import annotations

import os
import subprocess
import threading
import time
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.bench.clients import SMTP, messages
from tests.bench.scenarios import in_threads, report
from tests.mailauth.dkimkeys import rsa_key
from tests.queue.sink import Sink
from tests.support.fakedns import FakeDNS
from tests.support.server import MOX, eventually, free_offset

CONNECTIONS = 16
DESTINATIONS = (1, 20)
OCTETS = 5000
PASSWORD = "bench-password"
SENDER = b"bench@example.org"

STATIC = """\
DataDir: data
LogLevel: info
User: {user}
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		Submission:
			Enabled: true
			Port: {port}
			NoRequireSTARTTLS: true
Postmaster:
	Account: bench
	Mailbox: Postmaster
"""

DYNAMIC = """\
Domains:
	example.org:
		DKIM:
			Selectors:
				s:
					PrivateKeyFile: dkim.pem
			Sign:
				- s
Accounts:
	bench:
		Domain: example.org
		MaxOutgoingMessagesPerDay: 1000000
		MaxFirstTimeRecipientsPerDay: 1000000
		Destinations:
			bench@example.org: nil
"""


class TimedSink(Sink):
    """Notes when each message was taken."""

    def __init__(self) -> None:
        super().__init__()
        self.when: dict[bytes, float] = {}

    def take(self, names: list[bytes]) -> None:
        now = time.perf_counter()
        self.when.update(dict.fromkeys(names, now))
        super().take(names)


class Submitter(SMTP):
    """A session that has logged in."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        secret = b64encode(b"\0%b\0%b" % (SENDER, PASSWORD.encode()))
        self.send(b"AUTH PLAIN %b\r\n" % secret)
        if not (answer := self.reply()).startswith(b"235"):
            raise RuntimeError(f"login failed: {answer!r}")

    def submit(self, message: bytes, recipient: bytes) -> None:
        self.deliver(message.replace(b"bench@localhost", SENDER, 1), recipient, SENDER)


def zone() -> dict[tuple[str, str], list[str]]:
    found = {("mx.example", "A"): ["127.0.0.1"]}
    for number in range(max(DESTINATIONS)):
        found[f"d{number}.example", "MX"] = ["10 mx.example."]
    return found


@contextmanager
def served(directory: Path, sink: int, dns: FakeDNS) -> Iterator[int]:
    """Run the server; gives the port for submission."""
    (directory / "data").mkdir(parents=True)
    port = 587 + free_offset()
    (directory / "mox.conf").write_text(STATIC.format(user=os.getuid(), port=port))
    (directory / "domains.conf").write_text(DYNAMIC)
    pem = rsa_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (directory / "dkim.pem").write_bytes(pem)
    mox = [str(MOX), "-config", str(directory / "mox.conf")]
    subprocess.run(
        [*mox, "setaccountpassword", "bench"],
        input=PASSWORD.encode(),
        capture_output=True,
        check=True,
    )
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [*mox, "serve"],
            env=os.environ | {"MOX_DNS_SERVER": dns.server, "MOX_SMTP_PORT": str(sink)},
            stdout=log,
            stderr=log,
        )

    def greets() -> bool:
        assert process.poll() is None, (directory / "log").read_text()[-2000:]
        try:
            Submitter(port).sock.close()
        except OSError:
            return False
        return True

    try:
        eventually(greets, 30)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def measure(directory: Path, quick: bool) -> None:
    """Rates with the smallest sink there is, then times with one that notes them."""
    directory.mkdir()
    for destinations in DESTINATIONS:
        _rate(directory / f"rate{destinations}", destinations, 400 if quick else 4000)
    _times(directory / "times", 100 if quick else 1000)


def _rate(directory: Path, destinations: int, count: int) -> None:
    sink = CountingSink()
    try:
        with FakeDNS(zone()) as dns, served(directory, sink.port, dns) as port:
            _submit(port, CONNECTIONS, destinations)  # knows its domains from here on
            sink.wait(CONNECTIONS)
            began = time.perf_counter()
            accepting_s = _submit(port, count, destinations)
            sink.wait(CONNECTIONS + count)
            seconds = time.perf_counter() - began
    finally:
        sink.close()
    note = f"{CONNECTIONS} clients, signed; accepted at {count / accepting_s:,.0f}/s"
    report(f"submission to sink, destinations: {destinations}", count / seconds, "msg/s", note)


def _submit(port: int, count: int, destinations: int) -> float:
    each = count // CONNECTIONS

    def work(number: int) -> None:
        session = Submitter(port)
        source = messages(OCTETS, number * 100_000)
        for n in range(each):
            to = b"u%d@d%d.example" % (n, (number + n) % destinations)
            session.submit(next(source), to)

    return in_threads([partial(work, number) for number in range(CONNECTIONS)])


class CountingSink:
    """Postfix's smtp-sink, which tells how many messages it has got."""

    def __init__(self) -> None:
        self.port = 10_000 + free_offset()
        user = ["-u", "nobody"] if os.getuid() == 0 else []
        self._process = subprocess.Popen(
            ["/usr/sbin/smtp-sink", "-c", *user, f"127.0.0.1:{self.port}", "1000"],
            stdout=subprocess.PIPE,
        )
        self._count = 0
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        assert self._process.stdout is not None
        tail = b""
        while piece := os.read(self._process.stdout.fileno(), 1 << 16):
            tail = (tail + piece)[-400:]
            *_, last = [b"0", *tail.split(b"mesg=")[1:]]
            digits = last.split(b"\r")[0]
            if digits.isdigit():
                self._count = max(self._count, int(digits))

    def wait(self, count: int) -> None:
        eventually(lambda: self._count >= count, 300, 0.005)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(10)


def _times(directory: Path, count: int) -> None:
    sink = TimedSink()
    sink.start()
    accepted: dict[bytes, float] = {}
    with FakeDNS(zone()) as dns, served(directory, sink.port, dns) as port:
        session, source = Submitter(port), messages(OCTETS)
        for number in range(1, count + 1):
            session.submit(next(source), b"u@d%d.example" % (number % max(DESTINATIONS)))
            accepted[b"message %d" % number] = time.perf_counter()
        eventually(lambda: len(sink.when) >= count, 60)
    sink.close()
    waits = sorted(max(0.0, sink.when[name] - when) for name, when in accepted.items())
    _tell(waits)


def _tell(waits: Sequence[float]) -> None:
    for percent in (50, 99):
        wait = waits[len(waits) * percent // 100]
        report(f"from 250 at submission to arrival, p{percent}", wait * 1000, "ms")
