from __future__ import annotations

from pathlib import Path

import pytest

from mox.config import Config, load

STATIC = """\
DataDir: data
LogLevel: info
Hostname: mail.example.org
Listeners:
	local:
		IPs:
			- 127.0.0.1
		SMTP:
			Enabled: true
			NoSTARTTLS: true
Postmaster:
	Account: mjl
	Mailbox: Postmaster
QuotaMessageSize: 1000
"""

DYNAMIC = """\
Domains:
	example.org:
		LocalpartCatchallSeparator: +
		Aliases:
			team:
				Addresses:
					- mjl@example.org
					- other@example.org
	any.example: nil
Accounts:
	mjl:
		Domain: example.org
		QuotaMessageSize: -1
		Destinations:
			mjl@example.org: nil
			@any.example: nil
			stop@example.org:
				SMTPError: 550 no more
	other:
		Domain: example.org
		Destinations:
			other@example.org: nil
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    (tmp_path / "mox.conf").write_text(STATIC)
    (tmp_path / "domains.conf").write_text(DYNAMIC)
    return load(tmp_path / "mox.conf", check_files=False)
