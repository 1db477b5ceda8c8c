"""What an attempt came to for one message."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address

from mox.smtp.clientevents import Lack, RecipientResult
from mox.smtp.reply import Reply

_LACK_SECODES = {
    Lack.SIZE: "3.4",
    Lack.EIGHT_BIT: "6.3",
    Lack.SMTPUTF8: "6.7",
    Lack.REQUIRETLS: "7.30",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reply` is set when words of another server decided; `host` and `ip` are that server's.

    `secode` is the enhanced code without its class. `label` is the result in metrics.
    """

    success: bool = False
    permanent: bool = False
    code: int = 0
    secode: str = ""
    error: str = ""
    reply: Reply | None = None
    host: str = ""
    ip: IPv4Address | IPv6Address | None = None
    tls_mode: str = ""
    timed_out: bool = False
    passed_requests: bool = False  # it was told what the sender wants to know (RFC 3461)
    suppressed: bool = False  # not attempted: the address is on the suppression list

    @property
    def label(self) -> str:
        if self.success:
            return "ok"
        if self.timed_out:
            return "timeout"
        return "permerror" if self.permanent else "temperror"

    @property
    def lacks_requiretls(self) -> bool:
        """Whether it is for us to say that REQUIRETLS cannot be had there (RFC 8689 §4.2.1)."""
        return self.reply is None and self.secode == "7.30"

    @property
    def status(self) -> str:
        """The enhanced code for a notification; its class is that of our handling."""
        kind = 2 if self.success else 5 if self.permanent else 4
        return f"{kind}.{self.secode or '0.0'}"

    def at(self, host: str, ip: IPv4Address | IPv6Address, tls_mode: str) -> Verdict:
        """Return the same, with the server that it is about."""
        error = self.error
        if error and self.reply is None:
            error = f"{host} ({ip}): {error}"
        return replace(self, host=host, ip=ip, tls_mode=tls_mode, error=error)

    def as_temporary(self) -> Verdict:
        return replace(self, permanent=False)

    def as_permanent(self) -> Verdict:
        return replace(self, permanent=True)


def of_reply(reply: Reply, *, permanent: bool | None = None) -> Verdict:
    """Return the verdict that a server's error is."""
    is_permanent = reply.is_permanent if permanent is None else permanent
    return Verdict(
        permanent=is_permanent,
        code=reply.code,
        secode=short_code(reply),
        error=str(reply),
        reply=reply,
    )


def of_result(result: RecipientResult, problem: str) -> Verdict:
    """Return the verdict on one recipient of a transaction; `problem`: why it broke off."""
    reply = result.reply
    if reply is None:
        return Verdict(error=problem or "connection ended within the transaction")
    if result.delivered:
        return Verdict(success=True, code=reply.code, secode=short_code(reply), reply=reply)
    return of_reply(reply, permanent=not result.temporary)


def of_lack(lack: Lack, *, temporary: bool) -> Verdict:
    """Return the verdict on a message that a server cannot take."""
    return Verdict(permanent=not temporary, secode=_LACK_SECODES[lack], error=lack.value)


def short_code(reply: Reply) -> str:
    """Return the enhanced code without its class, "" when there is none."""
    return reply.enhanced.partition(".")[2] if reply.enhanced else ""
