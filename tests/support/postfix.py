"""Postfix as the mail server of another domain, on loopback: Debian's programs, our configuration.

Its parts become users of their own, which only root may let them.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from mox.tlsio.identity import Identity
from tests.support.server import eventually

MASTER = "/usr/lib/postfix/sbin/master"
MAIN = """\
compatibility_level = 3.6
queue_directory = {base}/queue
data_directory = {base}/data
maillog_file = {base}/log/maillog
maillog_file_prefixes = {base}
myhostname = {host}
mydestination =
mynetworks =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
import_environment = MAIL_CONFIG LANG=C
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = inline:{{ {mailboxes} }}
virtual_mailbox_base = {base}/mail
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions =
smtpd_tls_received_header = yes
smtpd_tls_session_cache_database =
message_size_limit = 200000
smtputf8_enable = yes
default_transport = discard
{tls}
"""
SERVICES = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
local unix - n n - - local
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


class Postfix:
    """Takes mail for some localparts of `domain`. A context manager; `port` is where it listens."""

    def __init__(
        self,
        host: str,
        domain: str,
        identity: Identity | None,
        localparts: tuple[str, ...] = ("you",),
    ) -> None:
        self.port = _free_port()
        # Its users must be able to come here, which pytest's directories do not let them.
        self.base = Path(tempfile.mkdtemp(prefix="mox-postfix-"))
        self.base.chmod(0o755)
        for name in ("config", "queue", "data", "mail", "log"):
            (self.base / name).mkdir()
        shutil.chown(self.base / "data", "postfix")
        shutil.chown(self.base / "mail", "nobody")
        mailboxes = ", ".join(f"{{ {name}@{domain} = {name}/ }}" for name in localparts)
        tls = self._write_identity(identity) if identity else ""
        config = self.base / "config"
        main = MAIN.format(base=self.base, host=host, domain=domain, mailboxes=mailboxes, tls=tls)
        (config / "main.cf").write_text(main)
        (config / "master.cf").write_text(SERVICES.format(port=self.port))

    def _write_identity(self, identity: Identity) -> str:
        path = self.base / "config/identity.pem"
        path.touch(mode=0o600)
        path.write_bytes(identity.key_pem + identity.chain_pem)
        return f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {path}"

    def __enter__(self) -> Postfix:
        config = str(self.base / "config")
        # Makes the directories of the queue.
        subprocess.run(["postfix", "-c", config, "check"], check=True, capture_output=True)
        self._process = subprocess.Popen(
            [MASTER, "-c", config, "-d"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            eventually(self._greets, 20.0)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End it with all its parts."""
        self._process.terminate()
        self._process.wait(20)
        deadline = time.monotonic() + 20
        while self._greets() and time.monotonic() < deadline:
            time.sleep(0.02)
        shutil.rmtree(self.base, ignore_errors=True)

    def _greets(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as sock:
                return sock.recv(100).startswith(b"220 ")
        except OSError:
            return False

    @property
    def log(self) -> str:
        return (self.base / "log/maillog").read_text(errors="replace")

    def mails(self, localpart: str = "you") -> list[Message]:
        """The messages that are in a mailbox."""
        directory = self.base / "mail" / localpart / "new"
        found = sorted(directory.iterdir()) if directory.exists() else []
        return [message_from_bytes(path.read_bytes()) for path in found]


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
