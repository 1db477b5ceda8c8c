"""The keeper of a whole server watches block lists."""

from __future__ import annotations

import contextlib
import http.client
from pathlib import Path

import pytest

from tests.support.fakedns import FakeDNS
from tests.support.server import Server, eventually

pytestmark = pytest.mark.e2e

ZONE = {
    ("2.0.0.127.bl.example", "A"): ["127.0.0.2"],
    ("4.4.8.8.bl.example", "A"): ["127.0.0.3"],
    ("4.4.8.8.bl.example", "TXT"): ['"sent too much"'],
}


def metrics(server: Server) -> str:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", server.metrics)) as client:
        client.request("GET", "/metrics")
        return client.getresponse().read().decode()


def test_listed_address_is_a_metric_and_a_log_line(tmp_path: Path) -> None:
    with FakeDNS(ZONE) as dns:
        server = Server(tmp_path / "server", env={"MOX_DNS_SERVER": dns.server})
        server.init()
        server.edit("mox.conf", "\t\tIPs:", "\t\tNATIPs:\n\t\t\t- 8.8.4.4\n\t\tIPs:")
        with (server.directory / "domains.conf").open("a") as domains:
            domains.write("MonitorDNSBLs:\n\t- bl.example\n")
        server.start()
        try:
            eventually(lambda: "own address is on a block list" in server.log)
            fields = 'zone=bl.example ip=8.8.4.4 codes=127.0.0.3 explanation="sent too much"'
            assert fields in server.log
            line = 'mox_dnsbl_ips_success{ip="8.8.4.4",zone="bl.example"} 0.0'
            eventually(lambda: line in metrics(server))
        finally:
            server.stop()
