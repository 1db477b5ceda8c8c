"""A whole server delivers by DANE and MTA-STS, with a name server that validates, on loopback.

The mail hosts and the web server run in threads of the test, each with an event loop of its own.
"""

from __future__ import annotations

import hashlib
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import gevent
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mox.tlsio.identity import Identity
from mox.tlspolicy.mtasts import Mode, format_policy
from tests.queue.peer import Peer
from tests.queue.test_process import Serve
from tests.support.fakedns import FakeDNS
from tests.support.policyserver import PolicyServer
from tests.support.server import eventually
from tests.tlsio.identities import authority, ec_key, identity

pytestmark = pytest.mark.e2e

CA = "TLS:\n\tCA:\n\t\tCertFiles:\n\t\t\t- ca.pem\n"


class InThread:
    """Keeps something that serves in greenlets open, in a thread with its own event loop."""

    def __init__(self, server: AbstractContextManager[object]) -> None:
        self._server = server
        self._ready = threading.Event()
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> InThread:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._thread.join(10)

    def _run(self) -> None:
        with self._server:
            self._ready.set()
            while not self._is_over:
                gevent.sleep(0.02)


def record(of: Identity) -> str:
    key = x509.load_pem_x509_certificate(of.chain_pem).public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return f"3 1 1 {hashlib.sha256(der).hexdigest()}"


def own(host: str) -> Identity:
    return identity(host, key=ec_key(5))


class World:
    """dane.example, bad.example (whose TLSA record is wrong) and sts.example, and a server."""

    def __init__(self, directory: Path, stack: ExitStack, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self.dane = Peer(ip="127.0.0.11", identity=own("mx.dane.example"), name="dane")
        stack.enter_context(InThread(self.dane))
        port = self.dane.port
        self.bad = Peer("127.0.0.12", port, identity=own("mx.bad.example"), name="bad")
        stack.enter_context(InThread(self.bad))
        self.sts = Peer("127.0.0.13", port, identity=identity("mx.sts.example", signed=True))
        stack.enter_context(InThread(self.sts))
        self.web = PolicyServer(identity("mta-sts.sts.example", signed=True))
        self.web.body = format_policy(Mode.ENFORCE, ("mx.sts.example",), 86400)
        self.web_thread = InThread(self.web)
        stack.enter_context(self.web_thread)
        zone = {
            ("_25._tcp.mx.dane.example", "TLSA"): [record(own("mx.dane.example"))],
            ("_25._tcp.mx.bad.example", "TLSA"): [f"3 1 1 {'ab' * 32}"],
            ("_mta-sts.sts.example", "TXT"): ['"v=STSv1; id=1"'],
            ("mta-sts.sts.example", "A"): ["127.0.0.1"],
        }
        for n, name in enumerate(("dane", "bad", "sts"), 11):
            zone[(f"{name}.example", "MX")] = [f"10 mx.{name}.example."]
            zone[(f"mx.{name}.example", "A")] = [f"127.0.0.{n}"]
        dns = stack.enter_context(FakeDNS(zone, authentic=True))
        monkeypatch.setenv("MOX_DNS_SERVER", dns.server)
        monkeypatch.setenv("MOX_SMTP_PORT", str(port))
        monkeypatch.setenv("MOX_HTTPS_PORT", str(self.web.port))
        self.serve = Serve(directory, sink=1)
        self._configure(directory)
        self.serve.start()
        stack.callback(self.serve.stop)

    @staticmethod
    def _configure(directory: Path) -> None:
        (directory / "ca.pem").write_bytes(authority().pem)
        static, dynamic = directory / "mox.conf", directory / "domains.conf"
        static.write_text(static.read_text().replace("Hostname:", f"{CA}Hostname:"))
        dynamic.write_text(dynamic.read_text().partition("Routes:")[0])

    def submit(self, recipient: str) -> None:
        self.serve.submit(range(1), recipient)

    def waits(self, text: str) -> bool:
        """Whether a message waits in the queue because of this."""
        return text in self.serve.mox("queue", "list")


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with ExitStack() as stack:
        yield World(tmp_path, stack, monkeypatch)


def test_policies_decide_and_outlive_a_killed_queue(world: World) -> None:
    for name in ("dane", "bad", "sts"):
        world.submit(f"you@{name}.example")
    eventually(lambda: world.dane.mails and world.sts.mails, 30)
    assert [mail.tls for mail in (*world.dane.mails, *world.sts.mails)] == [True, True]
    eventually(lambda: world.waits("no TLSA record matches the certificate"), 30)
    assert world.bad.handshakes
    assert world.bad.mails == []
    assert len(world.web.requests) == 1
    eventually(lambda: world.serve.mox("queue", "list").count("you@") == 1, 30)

    # Somebody else takes over the mail host, and keeps us from the policy.
    world.web_thread.__exit__()
    world.sts.identity = own("mx.sts.example")
    os.kill(world.serve.queue_process(), signal.SIGKILL)
    world.submit("again@sts.example")
    eventually(lambda: world.waits("TLS: depth zero self signed cert"), 30)
    assert len(world.sts.mails) == 1
