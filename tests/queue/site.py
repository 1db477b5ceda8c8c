"""A queue process in greenlets of the test's process, with its own store, DNS and clock."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import SimpleNamespace

import gevent

from mox.address import Path as SMTPPath
from mox.address import parse_address
from mox.config import load
from mox.dns import Answer, Status
from mox.dns.answer import ExtendedError
from mox.queue.services import Services
from mox.queue.worker import deliver
from mox.serving.context import Context
from mox.store.outgoing import Outgoing
from mox.store.outgoing_records import QueueAddress, QueueId, QueueMessage, RetiredMessage
from tests.support.dnsrecords import record_of

STATIC = """\
DataDir: data
LogLevel: error
Hostname: mail.example.org
Pedantic: false
{static}\
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTP:
			Enabled: true
			NoSTARTTLS: true
			Port: {port}
Postmaster:
	Account: mjl
	Mailbox: Postmaster
"""

DYNAMIC = """\
Domains:
	example.org:
{domain}\
		LocalpartCatchallSeparator: +
	off.example:
		Disabled: true
Accounts:
	mjl:
		Domain: example.org
		KeepRetiredMessagePeriod: 1h0m0s
		Destinations:
			mjl@example.org: nil
			x@off.example: nil
			gone@example.org:
				SMTPError: 550 moved away
{account}\
	second:
		Domain: example.org
		Destinations:
			second@example.org: nil
{dynamic}\
"""

BODY = b"Subject: hello\r\nFrom: <mjl@example.org>\r\nMessage-Id: <one@example.org>\r\n\r\n.dot\r\n"


@dataclass
class Names:
    """DNS from a table; names that are not in it do not exist. CNAMEs are followed.

    With `authentic` all answers are, but those that `insecure` names have a part in.
    """

    records: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    queries: list[tuple[str, str]] = field(default_factory=list)
    authentic: bool = False
    insecure: set[str] = field(default_factory=set)
    trusts_ad: bool = True
    extended_error: ExtendedError | None = None  # of broken names

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        self.queries.append((name, rdtype))
        is_authentic = self.authentic
        for _ in range(8):
            is_authentic = is_authentic and name not in self.insecure
            alias = self.records.get((name, "CNAME"))
            if name in self.broken or alias is None or rdtype == "CNAME":
                break
            name = alias[0].rstrip(".")
        if name in self.broken:
            return Answer(Status.TEMPORARY, error="broken", extended_error=self.extended_error)
        texts = self.records.get((name, rdtype))
        if texts is not None:
            found = tuple(record_of(rdtype, text) for text in texts)
            return Answer(Status.OK, found, is_authentic, canonical=name)
        exists = any(name == known for known, _ in self.records)
        status = Status.NODATA if exists else Status.NXDOMAIN
        return Answer(status, (), is_authentic, canonical=name)


@dataclass
class Clock:
    now: float = field(default_factory=lambda: float(int(time.time())))

    def __call__(self) -> float:
        return self.now


class Site:
    """`submit` puts messages in; `start` begins to deliver."""

    def __init__(
        self,
        directory: Path,
        *,
        names: Mapping[tuple[str, str], tuple[str, ...]] | None = None,
        localserve: bool = False,
        port: int = 25,
        static: str = "",
        domain: str = "",
        account: str = "",
        dynamic: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        (directory / "data").mkdir(exist_ok=True)
        (directory / "mox.conf").write_text(STATIC.format(static=static, port=port))
        (directory / "domains.conf").write_text(
            DYNAMIC.format(domain=domain, account=account, dynamic=dynamic)
        )
        self.config = load(directory / "mox.conf", check_files=False)
        self.ctx = Context(
            kind="queue",
            slot=0,
            config_source=SimpleNamespace(current=self.config),
            localserve=localserve,
        )
        self.clock = clock
        self.names = Names(names or {})
        self.services = Services(
            self.ctx,
            self.names,  # type: ignore[arg-type]
            clock=clock,
            chance=random.Random(7),
        )
        self.services.smtp_port = port
        self.outgoing = Outgoing(self.ctx.store)
        self._greenlet: gevent.Greenlet[..., None] | None = None

    def submit(self, *recipients: str, body: bytes = BODY, **changes: object) -> list[QueueId]:
        """Queue a message; `sender` and other fields of its records can be given."""
        now = self.clock()
        sender = str(changes.pop("sender", "mjl@example.org"))
        fields: dict[str, object] = {
            "queued": now,
            "next_attempt": now,
            "sender_account": "mjl",
            "sender": _address(sender),
            "size": len(body),
            "message_id": "<one@example.org>",
            **changes,
        }
        messages = [
            QueueMessage(recipient=_address(recipient), **fields)  # type: ignore[arg-type]
            for recipient in recipients
        ]
        with self.ctx.store.spool() as spool:
            spool.write(body)
            return self.outgoing.add(messages, self.outgoing.content(spool))

    def start(self) -> None:
        self._greenlet = gevent.spawn(deliver, self.ctx, self.services)

    def stop(self) -> None:
        self.ctx.stopping.set()
        if self._greenlet is None:
            self.ctx.close()
            return
        self._greenlet.join(10)
        assert self._greenlet.dead

    def look(self) -> None:
        """Have the queue look for due messages, as after a step of the clock."""
        self.ctx.store.write(lambda txn: txn.touched.add(0))

    def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, "did not happen in time"
            gevent.sleep(0.005)

    def until_attempted(self, count: int = 1) -> None:
        """Wait until each message has ended this many attempts, or is gone."""
        self.until(
            lambda: all(
                msg.attempts >= count and msg.results[-1].error != "delivering..."
                for msg in self.queued()
            )
        )

    def until_empty(self) -> None:
        self.until(lambda: not self.outgoing.count())

    def queued(self) -> list[QueueMessage]:
        return self.outgoing.messages()

    def retired(self) -> list[RetiredMessage]:
        return self.outgoing.retired()

    def mailbox(self, account: str = "mjl", mailbox: str = "INBOX") -> list[EmailMessage]:
        """All messages of a mailbox, oldest first."""
        return [
            message_from_bytes(octets, policy=policy.default)  # type: ignore[misc]
            for octets in self.octets(account, mailbox)
        ]

    def octets(self, account: str = "mjl", mailbox: str = "INBOX") -> list[bytes]:
        found = self.ctx.store.account(account)
        box = found.mailbox(mailbox)
        if box is None:
            return []
        return [bytes(found.read(box.id, uid).data) for uid in found.uids(box.id)]


def _address(text: str) -> QueueAddress:
    if not text:
        return QueueAddress()
    localpart, _, domain = text.rpartition("@")
    if domain.startswith("["):
        return QueueAddress(localpart, ip=domain.strip("[]"))
    address = parse_address(text)
    return QueueAddress.from_path(SMTPPath(address.localpart, address.domain))


def mx(*hosts: str, domain: str = "there.example") -> dict[tuple[str, str], tuple[str, ...]]:
    """DNS for a domain whose hosts h1, h2, … have one of these addresses each, in this order."""
    records: dict[tuple[str, str], tuple[str, ...]] = {
        (domain, "MX"): tuple(f"{n} h{n}.{domain}." for n, _ in enumerate(hosts, 1))
    }
    for n, group in itertools.zip_longest(range(1, len(hosts) + 1), hosts):
        for ip in group.split():
            key = (f"h{n}.{domain}", "AAAA" if ":" in ip else "A")
            records[key] = (*records.get(key, ()), ip)
    return records


def parts(dsn: EmailMessage) -> list[str]:
    """The three parts of a notification, as text."""
    found = []
    for part in dsn.iter_parts():
        payload = part.get_payload()
        if isinstance(payload, list):
            found.append("\n".join(str(one) for one in payload))
        else:
            found.append(str(part.get_payload(decode=True), "utf-8"))  # type: ignore[arg-type]
    return found
