"""Configurations for tests of the web."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

from mox.config import Config, load

_STATIC = """\
DataDir: data
LogLevel: info
User: nobody
Hostname: mail.mox.example
Listeners:
	local:
		IPs:
			- 127.0.0.1
{listener}
Postmaster:
	Account: mox
	Mailbox: Postmaster
"""
_DYNAMIC = """\
Domains:
	mox.example:
		LocalpartCatchallSeparator: +
{domain}
	other.example: nil
Accounts:
	mox:
		Domain: mox.example
		Destinations:
			mox@mox.example: nil
	off:
		LoginDisabled: closed for repairs
		Domain: mox.example
		Destinations:
			off@mox.example: nil
"""


def config_of(directory: Path, listener: str, domain: str = "") -> Config:
    """Load a configuration whose listener `local` has these services."""
    directory.joinpath("mox.conf").write_text(_STATIC.format(listener=_indent(listener)))
    directory.joinpath("domains.conf").write_text(_DYNAMIC.format(domain=_indent(domain)))
    return load(directory / "mox.conf", check_files=False)


def _indent(text: str) -> str:
    return "\n".join(f"\t\t{line}" for line in text.splitlines() if line)


WEBAPI = """\
WebAPIHTTP:
	Enabled: true
	Port: 1080
"""


@dataclass
class Peer:
    """What the router asks of a connection."""

    remote_ip: object
    port: int = 1080
    tls: object = None
    listen: SimpleNamespace = field(init=False)

    def __post_init__(self) -> None:
        self.listen = SimpleNamespace(listener="local", port=self.port)
