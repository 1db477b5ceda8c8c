"""Accounts whose users sort their mail over IMAP, and what decisions must follow from that.

`Play` delivers with a clock of its own and does with IMAP what users do. Beside it stands a model:
which messages there are, where they were delivered first, and what was said about them. The model
asks the same rules as the server does, of a history in memory.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address

from mox.address import Path, parse_address, parse_domain
from mox.config.lookup import ToAccount
from mox.delivery import incoming
from mox.delivery.arrival import Arrival, Foreign
from mox.delivery.authenticate import Checks
from mox.delivery.authenticate import Client as Peer
from mox.delivery.decision import decide
from mox.delivery.facts import MessageFacts
from mox.delivery.headers import Headers
from mox.delivery.recipients import Recipient, resolve_incoming
from mox.delivery.steps.case import Case, Decision
from mox.message.trace import Received
from mox.store.origin import Origin
from tests.delivery.cases import Answers
from tests.delivery.histories import FakeHistory
from tests.imapd.harness import Client, Site
from tests.support.zone import ZoneResolver

DAY = 86400
ACCOUNTS = ("ann", "bob", "cid")

DYNAMIC = "Domains:\n\texample.org: nil\nAccounts:\n" + "".join(
    f"""\
	{name}:
		Domain: example.org
		RejectsMailbox: Rejects
		Destinations:
			{name}@example.org: nil
		AutomaticJunkFlags:
			Enabled: true
			JunkMailboxRegexp: ^(junk|spam)
			NeutralMailboxRegexp: ^(inbox|introbox|neutral|postmaster|dmarc|tlsrpt|rejects)
"""
    for name in (*ACCOUNTS, "mjl")
)


@dataclass(frozen=True)
class Sender:
    """Who writes. ip is in the SPF record of the domain, unless it is a forger."""

    address: str
    ip: str
    helo: str = "mta.example"

    @property
    def domain(self) -> str:
        return self.address.partition("@")[2]


@dataclass
class Kept:
    """A message as the model knows it."""

    origin: Origin
    mailbox: str  # where it is now
    first: str  # where it was delivered, or counts as delivered
    when: int
    is_junk: bool | None = None


@dataclass
class Play:
    """The three accounts at `now`."""

    site: Site
    zone: dict[tuple[str, str], list[str]]
    now: int = 1_700_000_000
    number: int = 0
    kept: dict[str, dict[int, Kept]] = field(default_factory=lambda: {a: {} for a in ACCOUNTS})
    sent: dict[str, list[tuple[str, int]]] = field(
        default_factory=lambda: {a: [] for a in ACCOUNTS}
    )
    clients: dict[str, Client] = field(default_factory=dict)

    def client(self, account: str) -> Client:
        if account not in self.clients:
            self.clients[account] = self.site.login(user=account)
        return self.clients[account]

    # ---- a message comes in

    def deliver(self, account: str, sender: Sender) -> tuple[str, str]:
        """Deliver the next message; ("accept" or the reply's code, reason), checked twice."""
        self.number += 1
        expected = self._expected(account, sender)
        store = self.site.ctx.store
        with store.spool() as spool:
            spool.write(self._message(account, sender))
            path = Path(account, parse_domain("example.org"))
            recipient = resolve_incoming(self.site.config, path, localserve=False)
            assert isinstance(recipient, Recipient)
            checks = Checks(ZoneResolver(self.zone))  # type: ignore[arg-type]
            arrival = Arrival(
                _path(sender.address),
                (recipient,),
                spool,
                self._received(sender),
                foreign=Foreign(checks=checks),
            )
            result = incoming.deliver(store, self.site.config, arrival, localserve=False)
        [outcome] = result.outcomes
        [decided] = outcome.decisions
        decision = decided.decision
        assert (decision.accept, decision.reason) == (expected.accept, expected.reason)
        assert decision.details == expected.details, "the same history stands behind it"
        self._keep(account, decision)
        word = "accept" if outcome.reply is None else str(outcome.reply.code)
        return word, outcome.reason

    def _message(self, account: str, sender: Sender) -> bytes:
        return (
            f"From: <{sender.address}>\r\nTo: <{account}@example.org>\r\nSubject: mail\r\n"
            f"Message-Id: <{self.number}@{sender.domain}>\r\n\r\ntext {self.number}\r\n"
        ).encode()

    def _received(self, sender: Sender) -> Received:
        return Received(
            helo=parse_domain(sender.helo),
            remote_ip=ip_address(sender.ip),
            hostname=parse_domain("mail.example.org"),
            local_ip=ip_address("192.0.2.200"),
            protocol="ESMTPS",
            id="id",
            tls="TLS1.3 X",
            when=self.now,
        )

    def _expected(self, account: str, sender: Sender) -> Decision:
        """What the rules say by the model's history."""
        history = FakeHistory(sent=self.sent[account])
        for kept in self.kept[account].values():
            if kept.is_junk is not None and kept.first == "INBOX":
                history.judged.append((kept.origin, kept.is_junk, kept.when))
        headers = Headers(self._message(account, sender).replace(b"\r\n", b"\n"))
        checks = Checks(ZoneResolver(self.zone))  # type: ignore[arg-type]
        received = self._received(sender)
        with self.site.ctx.store.spool() as spool:
            spool.write(self._message(account, sender))
            found = checks.authenticate(Peer.of(received, _path(sender.address)), spool, headers)
        facts = MessageFacts(
            reverse_path=_path(sender.address),
            header_from=headers.single_from(),
            message_id=headers.message_id,
            size=100,
            headers=headers,
            received=received,
            authentication=found,
        )
        config = self.site.config.dynamic.accounts[account]
        address = f"{account}@example.org"
        return decide(
            Case(
                facts=facts,
                to=ToAccount(account, config.destinations[address], address),
                account=config,
                path=_path(address),
                ask=Answers(history),
                now=self.now,
            )
        )

    def _keep(self, account: str, decision: Decision) -> None:
        assert decision.origin is not None
        mailbox = "INBOX" if decision.accept else "Rejects"
        if not decision.accept:
            # A reject that comes in makes room.
            for number, old in list(self.kept[account].items()):
                if old.mailbox == "Rejects" and old.when < self.now - 14 * DAY:
                    del self.kept[account][number]
        kept = Kept(decision.origin, mailbox, mailbox, self.now)
        self.kept[account][self.number] = kept

    # ---- what users do

    def mark(self, account: str, number: int, word: str) -> None:
        """Press the button for junk or for wanted mail."""
        kept = self.kept[account][number]
        client = self.client(account)
        uid = self._uid(account, number)
        client.ok(f"uid store {uid} -flags.silent ($Junk $NotJunk)")
        if word:
            client.ok(f"uid store {uid} +flags.silent ({word})")
        kept.is_junk = {"$Junk": True, "$NotJunk": False, "": None}[word]

    def move(self, account: str, number: int, mailbox: str) -> None:
        kept = self.kept[account][number]
        self.client(account).ok(f"uid move {self._uid(account, number)} {mailbox}")
        if kept.first == "Rejects" and mailbox != "Rejects":
            kept.first = "INBOX"
        kept.mailbox = mailbox
        kept.is_junk = {"Junk": True, "INBOX": None, "Rejects": None}.get(mailbox, False)

    def expunge(self, account: str, number: int) -> None:
        uid = self._uid(account, number)
        self.client(account).ok(f"uid store {uid} +flags.silent (\\Deleted)")
        self.client(account).ok(f"uid expunge {uid}")
        del self.kept[account][number]

    def write_to(self, account: str, address: str) -> None:
        """Send a message: the mail program keeps a copy."""
        text = f"From: {account}@example.org\r\nTo: <{address}>\r\nSubject: x\r\n\r\nhi\r\n"
        self.client(account).append("Sent", text.encode())
        # Without Date it counts from when it was stored, by the clock on the wall.
        self.sent[account].append((address, 1 << 40))

    def _uid(self, account: str, number: int) -> str:
        kept = self.kept[account][number]
        client = self.client(account)
        client.ok(f"select {kept.mailbox}")
        lines = client.ok(f'uid search header message-id "<{number}@"')
        [found] = [line.split()[2:] for line in lines if line.startswith("* SEARCH")]
        assert len(found) == 1, (number, found)
        return found[0]


def _path(text: str) -> Path:
    address = parse_address(text)
    return Path(address.localpart, address.domain)
