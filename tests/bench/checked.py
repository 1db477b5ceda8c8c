"""Incoming mail with everything on: rate, processor time a message, and what each check takes.

The server is a whole one, `mox serve`, with its name server on this machine; messages are signed
(RSA of 2048 bits), of 5 KB, from twenty domains to ten accounts with a content filter.
"""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from pathlib import Path

from gevent.pool import Pool

from mox.address import Path as MailPath
from mox.address import parse_address, parse_domain
from mox.dns import Answer, Resolver
from mox.junk import Params, tokens
from mox.mailauth import dkim, iprev, spf
from mox.mailauth.authres import authentication_results
from mox.mailauth.canonical import Canonicalization
from mox.mailauth.content import SignedContent
from mox.mailauth.dkimsign import Signer, sign
from mox.mailauth.dmarcauthor import author_domains, evaluate_authors
from mox.mailauth.results import ARCResult, ARCStatus, Authentication
from mox.store import open_store
from mox.store.model import Flag, FlagOp
from mox.store.origin import Kind
from tests.bench.clients import SMTP
from tests.bench.corpuswords import LANGUAGES
from tests.bench.scenarios import in_threads, report
from tests.mailauth.dkimkeys import record, rsa_key
from tests.store.origins import deliver_from, origin_of
from tests.support.fakedns import FakeDNS
from tests.support.server import MOX, eventually, free_offset

ACCOUNTS = 10
DOMAINS = 20
OCTETS = 5000

STATIC = """\
DataDir: data
LogLevel: info
User: {user}
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTP:
			Enabled: true
			Port: {port}
			NoSTARTTLS: true
			FirstTimeSenderDelay: 0s
Postmaster:
	Account: u0
	Mailbox: Postmaster
"""

ACCOUNT = """\
	u{0}:
		Domain: example.org
		RejectsMailbox: Rejects
		Destinations:
			u{0}@example.org: nil
		JunkFilter:
			Threshold: 0.95
			Params:
				Onegrams: true
				MaxPower: 0.01
				TopWords: 10
				IgnoreWords: 0.1
				RareWords: 2
"""


def zone() -> dict[tuple[str, str], list[str]]:
    """What the name server of the benchmark knows: every check can pass."""
    key = record(rsa_key())
    found = {
        ("1.0.0.127.in-addr.arpa", "PTR"): ["mta.sender.example."],
        ("mta.sender.example", "A"): ["127.0.0.1"],
    }
    for i in range(DOMAINS):
        name = f"d{i}.example"
        found[name, "A"] = ["127.0.0.1"]
        found[name, "TXT"] = ['"v=spf1 ip4:127.0.0.1 -all"']
        found[f"k._domainkey.{name}", "TXT"] = [f'"{key[:200]}" "{key[200:]}"']
        found[f"_dmarc.{name}", "TXT"] = ['"v=DMARC1; p=reject"']
    return found


def message(number: int) -> tuple[bytes, bytes, bytes]:
    """A signed message with its sender and recipient."""
    chance = random.Random(number)
    english = LANGUAGES["en"]
    words = english.common + [word for topic in english.ham for word in topic]
    lines = []
    while sum(map(len, lines)) < OCTETS - 900:
        lines.append(" ".join(chance.choices(words, k=11)) + "\r\n")
    domain = f"d{number % DOMAINS}.example"
    sender, recipient = f"a{number}@{domain}", f"u{number % ACCOUNTS}@example.org"
    subject = " ".join(chance.choices(words, k=4))
    octets = (
        f"From: <{sender}>\r\nTo: <{recipient}>\r\nSubject: {subject}\r\n"
        f"Date: Mon, 23 Nov 2026 12:00:00 +0000\r\nMessage-ID: <{number}@{domain}>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n" + "".join(lines)
    ).encode()
    signer = Signer(
        domain=parse_domain(domain),
        selector="k",
        key=rsa_key(),
        names=("From", "To", "Subject", "Date", "Message-ID"),
        header=Canonicalization.RELAXED,
        body=Canonicalization.RELAXED,
    )
    signed = sign([signer], SignedContent(octets, wire=True), parse_address(sender), time.time())
    return signed + octets, sender.encode(), recipient.encode()


def rates(directory: Path, quick: bool) -> None:
    """Accepted messages a second over SMTP, durable, and processor time of the workers."""
    count = 640 if quick else 6400
    mail = [message(number) for number in range(count)]
    with FakeDNS(zone()) as dns:
        server = _start(directory, dns)
        try:
            for connections in (1, 32, 64):
                some = mail[: count // 10] if connections == 1 else mail
                _deliver(server, some, connections)
        finally:
            server.process.terminate()
            server.process.wait(60)


def _deliver(server: _Server, mail: list[tuple[bytes, bytes, bytes]], connections: int) -> None:
    def work(number: int) -> None:
        session = SMTP(server.port)
        for octets, sender, recipient in mail[number::connections]:
            session.deliver(octets, recipient, sender)

    before = server.processor_s()
    seconds = in_threads([partial(work, number) for number in range(connections)])
    each = (server.processor_s() - before) / len(mail) * 1000
    note = f"{each:.2f} ms of processor time each in the workers"
    report(f"SMTP with all checks, {connections} connections", len(mail) / seconds, "msg/s", note)


class _Server:
    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process = process
        self.port = port

    def processor_s(self) -> float:
        """User and system time of the SMTP workers so far."""
        ticks = 0
        for pid in (
            Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        ):
            if b"smtp" in Path(f"/proc/{pid}/cmdline").read_bytes():
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def _start(directory: Path, dns: FakeDNS) -> _Server:
    directory.mkdir()
    port = 25 + free_offset()
    (directory / "mox.conf").write_text(STATIC.format(user=os.getuid(), port=port))
    accounts = "".join(ACCOUNT.format(number) for number in range(ACCOUNTS))
    text = f"Domains:\n\texample.org: nil\nAccounts:\n{accounts}"
    (directory / "domains.conf").write_text(text)
    with (directory / "log").open("ab") as log:
        process = subprocess.Popen(
            [str(MOX), "-config", str(directory / "mox.conf"), "serve"],
            env=os.environ | {"MOX_DNS_SERVER": dns.server},
            stdout=log,
            stderr=log,
        )

    def greets() -> bool:
        assert process.poll() is None, (directory / "log").read_text()[-2000:]
        try:
            SMTP(port).sock.close()
        except OSError:
            return False
        return True

    eventually(greets, 30)
    return _Server(process, port)


# ---- shares


class _Known:
    """A resolver that has everything in its cache."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._answers: dict[tuple[str, str], Answer] = {}

    def query(self, name: str, rdtype: str, timeout_s: float | None = None) -> Answer:
        key = (name, rdtype)
        if key not in self._answers:
            self._answers[key] = self._resolver.query(name, rdtype, timeout_s)
        return self._answers[key]


def shares(quick: bool) -> None:
    """Processor time of each check of one message, with all of DNS in the cache."""
    octets, sender, _ = message(1)
    stored = octets.replace(b"\r\n", b"\n")
    ip, host = ip_address("127.0.0.1"), parse_domain("mail.example.org")
    address = parse_address(sender.decode())
    path = MailPath(address.localpart, address.domain)
    times = 300 if quick else 2000
    with FakeDNS(zone()) as dns:
        known: Resolver = _Known(Resolver(server=dns.server))  # type: ignore[assignment]
        named = iprev.check(known, ip)
        sent = spf.check(known, remote_ip=ip, mail_from=path, helo=host, hostname=host)
        signatures = dkim.verify(known, stored, time.time())
        authors = author_domains([b"<%b>" % sender])
        policy = evaluate_authors(known, authors, sent, signatures)
        found = Authentication(named, sent, signatures, policy, ARCResult(ARCStatus.NONE))
        params = Params(onegrams=True)
        checks: dict[str, Callable[[], object]] = {
            "iprev": lambda: iprev.check(known, ip),
            "SPF": lambda: spf.check(known, remote_ip=ip, mail_from=path, helo=host, hostname=host),
            "DKIM": lambda: dkim.verify(known, stored, time.time()),
            "DMARC": lambda: evaluate_authors(known, authors, sent, signatures),
            "Authentication-Results": lambda: authentication_results(host, ip, found),
            "words for the content filter": lambda: tokens(stored, params, wire=False),
        }
        if not all((named.hostname, policy.aligned_spf, policy.aligned_dkim)):
            raise RuntimeError(f"not everything passes: {found}")
        for name, check in checks.items():
            began = time.process_time()
            for _ in range(times):
                check()
            report(f"one check: {name}", (time.process_time() - began) / times * 1e6, "µs")


def questions(directory: Path, quick: bool) -> None:
    """What a question about a sender costs, while the account holds much mail of its domain."""
    count = 1_000 if quick else 10_000
    store = open_store(directory)
    try:
        account = store.account("u0")

        def deliver(number: int) -> None:
            with store.spool() as spool:
                spool.write(b"Subject: x\r\n\r\ntext\r\n")
                deliver_from(store, spool, origin_of(f"a{number}@x.example"), account="u0")

        Pool(64).map(deliver, range(count))
        inbox = account.mailbox("INBOX")
        assert inbox is not None, "made with the account"
        history = account.history(inbox.id)
        for state, word in (("unread", ""), ("judged", "$NotJunk")):
            if word:
                uids = list(account.uids(inbox.id))
                account.store_flags(inbox.id, uids, FlagOp.ADD, Flag.NONE, (word,))
            began = time.process_time()
            for _ in range(1000):
                history.verdicts(Kind.FROM_DOMAIN, b"x.example", 0, 20, validated=True)
            microseconds = (time.process_time() - began) * 1000
            report(f"one question, {count} {state} messages of the domain", microseconds, "µs")
    finally:
        store.close()
