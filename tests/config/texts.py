"""Small valid configurations, and how to vary them."""

from __future__ import annotations

from pathlib import Path

from mox import sconf
from mox.config import Config, ConfigErrors, load

STATIC = """\
DataDir: ../data
LogLevel: info
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTP:
			Enabled: true
			NoSTARTTLS: true
		MTASTSHTTPS:
			Enabled: true
			Port: 8443
			NonTLS: true
		WebserverHTTP:
			Enabled: true
Postmaster:
	Account: mjl
	Mailbox: Postmaster
Transports:
	relay:
		SMTP:
			Host: relay.example.net
"""

DYNAMIC = """\
Domains:
	example.org:
		LocalpartCatchallSeparator: +
	case.example:
		LocalpartCaseSensitive: true
	empty.example: nil
Accounts:
	mjl:
		Domain: example.org
		Destinations:
			mjl@example.org: nil
			Upper@case.example: nil
	second:
		Domain: example.org
		Destinations:
			second@example.org:
				Mailbox: Other
"""


class Files:
    """The two files in a directory; values are changed by path."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "mox.conf"
        self.domains_path = directory / "domains.conf"
        self.static = sconf.parse(STATIC.encode())
        self.dynamic = sconf.parse(DYNAMIC.encode())

    def write(self) -> None:
        self.path.write_text(self.static.text())
        self.domains_path.write_text(self.dynamic.text())

    def load(self, *, check_files: bool = False) -> Config:
        self.write()
        return load(self.path, check_files=check_files)

    def problems(self, *, check_files: bool = False) -> list[str]:
        """Return `field: message` of each error."""
        try:
            self.load(check_files=check_files)
        except ConfigErrors as errors:
            assert all(error.line > 0 for error in errors.errors)
            return [f"{error.field}: {error.message}" for error in errors.errors]
        return []

    def warnings(self) -> list[str]:
        return [f"{warning.field}: {warning.message}" for warning in self.load().warnings]


def at(path: str) -> list[str | int]:
    """Split a path written with slashes; numbers are indexes."""
    return [int(part) if part.isdigit() else part for part in path.split("/")]
