"""What TLS must be like on the way to a host. The value for what DANE and MTA-STS would say."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class TLSMode(StrEnum):
    """How a connection gets its TLS; the values are labels of metrics."""

    IMMEDIATE = "immediate"
    REQUIRED = "requiredstarttls"
    OPPORTUNISTIC = "opportunistic"
    NONE = "skip"


@dataclass(frozen=True, slots=True)
class TLSPolicy:
    """`verify`: the certificate must be for the host, and from an authority that we trust."""

    mode: TLSMode
    verify: bool = False

    @property
    def authenticates(self) -> bool:
        """Whether the server is known to be the right one, as REQUIRETLS asks for."""
        return self.verify and self.mode in (TLSMode.IMMEDIATE, TLSMode.REQUIRED)


# RFC 7435: better encryption without proof of who it is than none.
OPPORTUNISTIC: Final = TLSPolicy(TLSMode.OPPORTUNISTIC)
PLAINTEXT: Final = TLSPolicy(TLSMode.NONE)
