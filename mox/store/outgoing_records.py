"""Records of the durable queue: one per recipient, live while it waits, retired afterwards.

They are msgspec arrays: a new field goes to the end and has a default, so that records that were
written earlier still decode.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NewType

import msgspec

from mox.address import Domain, Path

QueueId = NewType("QueueId", int)

# Attempts before a message is given up, unless its record says otherwise.
DEFAULT_MAX_ATTEMPTS = 8
# What an attempt's result says from its start until its end; after a crash it stays.
DELIVERING = "delivering..."


class QueueAddress(msgspec.Struct, frozen=True, array_like=True):
    """A mailbox of an envelope. All fields are empty for the null reverse path."""

    localpart: str = ""
    ascii: str = ""  # A-labels
    unicode: str = ""  # U-labels; same as `ascii` for most domains
    ip: str = ""  # of an address literal

    @property
    def domain(self) -> str:
        """Return the domain in Unicode, `[ip]` for an address literal."""
        return f"[{self.ip}]" if self.ip else self.unicode

    @property
    def ascii_domain(self) -> str:
        """Return the domain in A-labels, `[ip]` for an address literal, "" for the null path."""
        return f"[{self.ip}]" if self.ip else self.ascii

    @property
    def is_null(self) -> bool:
        return not (self.localpart or self.unicode or self.ip)

    @classmethod
    def from_path(cls, path: Path) -> QueueAddress:
        """Make the record of a path; a bare `postmaster` must have got its domain before."""
        if isinstance(path.domain, Domain):
            return cls(path.localpart, path.domain.ascii, path.domain.unicode)
        if path.domain is None:
            assert path.is_null
            return cls()
        return cls(path.localpart, ip=str(path.domain))

    def path(self) -> Path:
        """Return the path that this record was made from."""
        if self.ip:
            ip: IPv4Address | IPv6Address = ip_address(self.ip)
            return Path(self.localpart, ip)
        if self.is_null:
            return Path("", None)
        return Path(self.localpart, Domain(self.ascii, self.unicode))


class Flow(msgspec.Struct, frozen=True, array_like=True):
    """What decides the way that a message takes: messages of one flow take the same.

    Domains are A-labels, `[ip]` for an address literal, "" for that of the null reverse path.
    """

    recipient_domain: str
    sender_account: str
    sender_domain: str
    transport: str  # "": by routing rules
    require_tls: bool | None
    attempts: int  # so far


class AttemptResult(msgspec.Struct, frozen=True, array_like=True):
    """How one attempt went. `code` is 0 when no reply of the other server decided it."""

    start: float
    duration_s: float = 0.0
    success: bool = False
    code: int = 0
    secode: str = ""  # enhanced code without its class: "1.1"
    error: str = ""


class QueueMessage(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One message for one recipient that waits for delivery. Times are seconds since the epoch."""

    id: QueueId = QueueId(0)  # given by the queue, ascending
    base_id: QueueId = QueueId(0)  # first id of the submission, 0 when its messages differ
    queued: float
    next_attempt: float
    last_attempt: float = 0.0  # 0: none yet
    hold: bool = False  # never attempted while set
    sender_account: str
    sender: QueueAddress
    from_id: str = ""
    recipient: QueueAddress
    attempts: int = 0
    max_attempts: int = 0  # 0: DEFAULT_MAX_ATTEMPTS
    dialed_ips: dict[str, tuple[str, ...]] = {}
    results: tuple[AttemptResult, ...] = ()
    has_8bit: bool = False
    smtputf8: bool = False
    is_dmarc_report: bool = False
    is_tls_report: bool = False
    size: int  # prefix and content, octets in wire form
    message_id: str = ""
    subject: str = ""
    prefix: bytes = b""  # header fields before those of the content, wire form
    dsn_utf8: bytes = b""  # whole message instead, for a next hop with SMTPUTF8
    transport: str = ""  # "": by routing rules
    require_tls: bool | None = None  # True: REQUIRETLS. False: "TLS-Required: No".
    future_release: str = ""  # "for;<seconds>" or "until;<time>", for DSNs
    extra: dict[str, str] = {}
    file: str = ""  # name of the content, shared by the recipients of one submission
    # RFC 3461: what the sender asked for, empty as by default.
    notify: tuple[str, ...] = ()  # NEVER, or some of SUCCESS, FAILURE, DELAY
    ret: str = ""  # FULL, HDRS
    envid: str = ""  # decoded
    orcpt: str = ""  # "rfc822;you@example.org", decoded

    @property
    def flow(self) -> Flow:
        return Flow(
            self.recipient.ascii_domain,
            self.sender_account,
            self.sender.ascii_domain,
            self.transport,
            self.require_tls,
            self.attempts,
        )

    @property
    def is_report(self) -> bool:
        """Whether this server wrote it to tell another about its mail or its TLS."""
        return self.is_dmarc_report or self.is_tls_report

    @property
    def attempts_left(self) -> int:
        return max(0, (self.max_attempts or DEFAULT_MAX_ATTEMPTS) - self.attempts)


class RetiredMessage(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What stays of a message that left the queue, until `keep_until`. Its octets do not stay."""

    id: QueueId
    base_id: QueueId
    queued: float
    last_attempt: float
    last_activity: float
    keep_until: float
    success: bool  # the next hop took it
    sender_account: str
    sender: QueueAddress
    from_id: str
    recipient: QueueAddress
    attempts: int
    max_attempts: int
    dialed_ips: dict[str, tuple[str, ...]]
    results: tuple[AttemptResult, ...]
    has_8bit: bool
    smtputf8: bool
    is_dmarc_report: bool
    is_tls_report: bool
    size: int
    message_id: str
    subject: str
    transport: str
    require_tls: bool | None
    future_release: str
    extra: dict[str, str]
    envid: str = ""

    @classmethod
    def of(
        cls, msg: QueueMessage, *, success: bool, now: float, keep_until: float
    ) -> RetiredMessage:
        """Return the retired form of a live record."""
        shared = {name: getattr(msg, name) for name in _SHARED_FIELDS}
        return cls(**shared, success=success, last_activity=now, keep_until=keep_until)


_SHARED_FIELDS = tuple(
    name for name in RetiredMessage.__struct_fields__ if name in QueueMessage.__struct_fields__
)
