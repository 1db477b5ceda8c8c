"""The directory of a localserve instance: configuration, certificate, passwords, account."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mox.store.durable import fsync_directory

ACCOUNT: Final = "mox"
ADDRESS: Final = "mox@localhost"
PASSWORD: Final = "moxmoxmox"  # noqa: S105  # printed at each start: for tests on this machine
ADMIN_PASSWORD: Final = "moxadmin"  # noqa: S105
CERTIFICATE: Final = "localhost.crt"
_SIGNING_KEY: Final = "dkim.localserve.privatekey.pkcs8.pem"
MAX_OFFSET: Final = 65535 - 993

_STATIC = """\
# Configuration of a mail server for tests, written by "mox localserve".
# "mox config describe-static" explains all fields. Changes need a restart, or SIGHUP.

# Everything is in this directory.
DataDir: .

# The protocols with all logins. Use "info" for less.
LogLevel: traceauth
User: {user}
Hostname: localhost

# Refuse what the standards do not allow, so that tests find it.
Pedantic: true

# Trust our own certificate when the queue delivers to ourselves.
TLS:
	CA:
		AdditionalToSystem: true
		CertFiles:
			- localhost.crt
AdminPasswordFile: adminpasswd
Listeners:
	local:
		IPs:
{ips}
		TLS:
			KeyCerts:
				-
					CertFile: localhost.crt
					KeyFile: localhost.key

		# Mail from other servers.
		SMTP:
			Enabled: true
			Port: {smtp}

		# Mail from users. Logins without TLS are allowed: this is for tests.
		Submission:
			Enabled: true
			Port: {submission}
			NoRequireSTARTTLS: true
		Submissions:
			Enabled: true
			Port: {submissions}
		IMAP:
			Enabled: true
			Port: {imap}
			NoRequireSTARTTLS: true
		IMAPS:
			Enabled: true
			Port: {imaps}

		# For programs: sending and receiving with JSON.
		WebAPIHTTP:
			Enabled: true
			Port: {http}
		WebAPIHTTPS:
			Enabled: true
			Port: {https}

		# For Prometheus.
		MetricsHTTP:
			Enabled: true
			Port: {metrics}
Postmaster:
	Account: mox
	Mailbox: Inbox
"""

_DYNAMIC = """\
# Domains and accounts of a mail server for tests, written by "mox localserve".
# "mox config describe-domains" explains all fields. A running server notices changes.

Domains:
	localhost:
		# mox+anything@localhost is mox@localhost.
		LocalpartCatchallSeparator: +

		# Messages are signed. What comes in is checked with this key, not with DNS.
		DKIM:
			Selectors:
				localserve:
					Canonicalization:
						HeaderRelaxed: true
						BodyRelaxed: true
					Expiration: 72h
					PrivateKeyFile: dkim.localserve.privatekey.pkcs8.pem
			Sign:
				- localserve
Accounts:
	mox:
		# Remember messages and webhooks that left the queue.
		KeepRetiredMessagePeriod: 72h0m0s
		KeepRetiredWebhookPeriod: 72h0m0s

		# What is submitted with this login gets an envelope sender of its own for each recipient,
		# and programs can be called about what becomes of it, and of mail that comes in.
		#FromIDLoginAddresses:
		#	- mox@localhost
		#OutgoingWebhook:
		#	URL: http://localhost:8000/outgoing
		#IncomingWebhook:
		#	URL: http://localhost:8000/incoming
		Domain: localhost
		Destinations:
			mox@localhost: nil

		# What is refused as junk is in Rejects for two weeks. Replies come without delay.
		RejectsMailbox: Rejects
		NoFirstTimeSenderDelay: true

		# Teach the junk filter by moving messages.
		AutomaticJunkFlags:
			Enabled: true
			JunkMailboxRegexp: ^(junk|spam)
			NeutralMailboxRegexp: ^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)
		JunkFilter:
			Threshold: 0.95
			Params:
				Onegrams: true
				MaxPower: 0.01
				TopWords: 10
				IgnoreWords: 0.1
				RareWords: 2
"""


@dataclass(frozen=True, slots=True)
class Choices:
    """What the command line decides about a new directory."""

    ips: Sequence[str]
    offset: int


def write_files(directory: Path, choices: Choices) -> None:
    """Write everything but the account; existing files are replaced."""
    ports = {
        "smtp": 25,
        "submission": 587,
        "submissions": 465,
        "imap": 143,
        "imaps": 993,
        "http": 80,
        "https": 443,
        "metrics": 81,
    }
    static = _STATIC.format(
        user=os.getuid(),
        ips="\n".join([f"\t\t\t- {ip}" for ip in choices.ips]),
        **{service: port + choices.offset for service, port in ports.items()},
    )
    key, certificate = make_certificate(choices.ips)
    files = {
        "localhost.key": key,
        CERTIFICATE: certificate,
        _SIGNING_KEY: _pem(ed25519.Ed25519PrivateKey.generate()),
        "adminpasswd": hash_password(ADMIN_PASSWORD),
        "receivedid.key": os.urandom(24),
        "domains.conf": _DYNAMIC.encode(),
        # The last one: who finds it, finds all.
        "mox.conf": static.encode(),
    }
    for name, data in files.items():
        _write_durable(directory / name, data)
    fsync_directory(os.fspath(directory))
    fsync_directory(os.fspath(directory.parent))


def _write_durable(path: Path, data: bytes) -> None:
    """A configuration that is half there would not start."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def make_certificate(ips: Sequence[str]) -> tuple[bytes, bytes]:
    """A new key and a certificate for localhost that it signed itself, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "mox localserve"),
            x509.NameAttribute(NameOID.COMMON_NAME, "localhost"),
        ]
    )
    names: list[x509.GeneralName] = [x509.DNSName("localhost")]
    names += [
        x509.IPAddress(address) for ip in ips if not (address := ip_address(ip)).is_unspecified
    ]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int(time.time()))
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=4 * 365))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _pem(key), certificate.public_bytes(Encoding.PEM)


def _pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def hash_password(password: str) -> bytes:
    """A line for AdminPasswordFile: scrypt in the form of the PHC string format."""
    salt = os.urandom(16)
    digest = hashlib.scrypt(password.encode(), salt=salt, n=1 << 14, r=8, p=1, dklen=32)
    salt64, digest64 = (base64.b64encode(b).rstrip(b"=").decode() for b in (salt, digest))
    return f"$scrypt$ln=14,r=8,p=1${salt64}${digest64}\n".encode()


def make_account(directory: Path) -> None:
    """Create the account with its password. Opens the store: not for the supervisor's process."""
    from mox.config import load
    from mox.store import open_store
    from mox.store.credentials import make_credentials

    config = load(directory / "mox.conf")
    store = open_store(config.data_dir)
    try:
        store.account(ACCOUNT).set_credentials(make_credentials(PASSWORD))
    finally:
        store.close()
