"""What TLS must be like on the way to a host, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mox.tlspolicy.tlsa import TLSA


class TLSMode(StrEnum):
    """How a connection gets its TLS; the values are labels of metrics."""

    IMMEDIATE = "immediate"
    REQUIRED = "requiredstarttls"
    OPPORTUNISTIC = "opportunistic"
    NONE = "skip"


@dataclass(frozen=True, slots=True)
class TLSPolicy:
    """See the module. A session made under one policy can serve messages that ask for no more.

    `verify`: the certificate must be for the host, and from an authority that we trust.
    `tlsa`: one of these (usable ones) must match the certificate chain; () asks for none.
    `names`: for which a chain under DANE-TA may be; the first is the server name of TLS.
    `lenient`: what is wrong with TLS is noted and ignored ("TLS-Required: No").
    """

    mode: TLSMode
    verify: bool = False
    tlsa: tuple[TLSA, ...] = ()
    names: tuple[str, ...] = ()
    lenient: bool = False

    @property
    def authenticates(self) -> bool:
        """Whether the server is known to be the right one, as REQUIRETLS asks for."""
        has_tls = self.mode in (TLSMode.IMMEDIATE, TLSMode.REQUIRED)
        return has_tls and not self.lenient and (self.verify or bool(self.tlsa))

    @property
    def may_fall_back(self) -> bool:
        """Whether plain text is better than nothing when TLS does not work (RFC 7435 §3)."""
        return self.lenient or self.mode is TLSMode.OPPORTUNISTIC


# RFC 7435 §1.2: better encryption without proof of who it is than none.
OPPORTUNISTIC: Final = TLSPolicy(TLSMode.OPPORTUNISTIC)
PLAINTEXT: Final = TLSPolicy(TLSMode.NONE)
