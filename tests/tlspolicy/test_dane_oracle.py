"""Our verdict on chains and TLSA records, and that of OpenSSL's own DANE, must be the same."""

from __future__ import annotations

import socket
import ssl
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from mox.tlspolicy import dane
from mox.tlspolicy.tlsa import TLSA
from tests.tlspolicy.chains import DAY, NOW, Issuer, alone, root

MX = "mx.example.org"
CA = root()
OTHER_CA = root("other root")
MIDDLE = CA.issue("middle", ca=True)
OLD_MIDDLE = CA.issue("old middle", ca=True, ends=NOW - DAY)
SERVERS = {
    "good": MIDDLE.issue(MX, names=(MX,)),
    "wildcard": MIDDLE.issue("x", names=("*.example.org",)),
    "name in the subject": MIDDLE.issue(MX),
    "other name": MIDDLE.issue("x", names=("other.example",)),
    "expired": MIDDLE.issue(MX, names=(MX,), ends=NOW - DAY),
    "not yet": MIDDLE.issue(MX, names=(MX,), begins=NOW + DAY),
    "for clients": MIDDLE.issue(MX, names=(MX,), usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    "below an old one": OLD_MIDDLE.issue(MX, names=(MX,)),
    "below a server": MIDDLE.issue("y").issue(MX, names=(MX,)),
    "alone": alone(MX, names=(MX,)),
}
# What each presents: its own certificate and these.
CHAINS: dict[str, Sequence[Issuer]] = {
    "full": (MIDDLE, CA),
    "without root": (MIDDLE,),
    "old": (OLD_MIDDLE, CA),
    "none": (),
}


def tlsa(usage: int, selector: int, matching: int, issuer: Issuer) -> TLSA:
    return TLSA(usage, selector, matching, dane.association(selector, matching, issuer.cert))


def records_for(server: Issuer) -> dict[str, TLSA]:
    return {
        "server's key": tlsa(3, 1, 1, server),
        "server's certificate": tlsa(3, 0, 2, server),
        "server in full": tlsa(3, 0, 0, server),
        "another server": tlsa(3, 1, 1, CA),
        "middle's key": tlsa(2, 1, 1, MIDDLE),
        "root's certificate": tlsa(2, 0, 1, CA),
        "root in full": tlsa(2, 0, 0, CA),
        "root's bare key": tlsa(2, 1, 0, CA),
        "middle's bare key": tlsa(2, 1, 0, MIDDLE),
        "another root": tlsa(2, 1, 2, OTHER_CA),
        "another root in full": tlsa(2, 0, 0, OTHER_CA),
    }


@contextmanager
def listening(server: Issuer, others: Sequence[Issuer]) -> Iterator[int]:
    """A TLS server on loopback that presents a chain; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as file:
        form = (Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        certs = [one.cert.public_bytes(Encoding.PEM) for one in (server, *others)]
        Path(file.name).write_bytes(server.key.private_bytes(*form) + b"".join(certs))
        context.load_cert_chain(file.name)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=_serve, args=(sock, context), daemon=True)
        thread.start()
        yield sock.getsockname()[1]
        sock.shutdown(socket.SHUT_RDWR)
        thread.join()


def _serve(sock: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        try:
            conn, _ = sock.accept()
        except OSError:
            return
        try:
            with context.wrap_socket(conn, server_side=True) as tls:
                tls.recv(1)
        except OSError:
            conn.close()


def accepted_by_openssl(port: int, record: TLSA) -> bool:
    usage = f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"
    command = [
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-brief", "-verify_return_error"),
        *("-dane_tlsa_domain", MX, "-dane_tlsa_rrdata", usage, "-dane_ee_no_namechecks"),
        *("-attime", str(int(NOW.timestamp()))),
    ]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    return done.returncode == 0


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        *((name, "full") for name in SERVERS if name not in ("alone", "below an old one")),
        ("good", "without root"),
        ("good", "none"),
        ("below an old one", "old"),
        ("alone", "none"),
    ],
)
def test_same_verdict_as_openssl(name: str, sent: str) -> None:
    server, others = SERVERS[name], CHAINS[sent]
    chain = [one.cert for one in (server, *others)]
    with listening(server, others) as port:
        for what, record in records_for(server).items():
            ours = dane.verify([record], chain, (MX,), NOW)
            theirs = accepted_by_openssl(port, record)
            assert ours.ok is theirs, f"{name}, {sent}, {what}: {ours}"
