from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec import structs

from mox.config.transport import TransportSocks
from mox.queue.nexthop import Direct, OurOwnPort, Refusal, Smarthost, next_hop
from mox.store.outgoing_records import Flow
from mox.tlspolicy.policy import PLAINTEXT, TLSMode, TLSPolicy
from tests.queue.site import Site

PROXY = TransportSocks(
    address="proxy.example:1080", remote_ips=("192.0.2.1",), remote_hostname="out.example"
)
FLOW = Flow("there.example", "mjl", "example.org", "", None, 0)

TRANSPORTS = """\
Transports:
	implicit:
		Submissions:
			Host: relay.example
	strict:
		Submission:
			Host: relay.example
	loose:
		SMTP:
			Host: relay.example
			STARTTLSInsecureSkipVerify: true
	plain:
		SMTP:
			Host: relay.example
			Port: 2525
			NoSTARTTLS: true
	socks:
		Socks:
			Address: proxy.example:1080
			RemoteIPs:
				- 192.0.2.1
			RemoteHostname: out.example
	four:
		Direct:
			DisableIPv6: true
	never:
		Fail:
			SMTPCode: 0
	later:
		Fail:
			SMTPCode: 451
			SMTPMessage: come back
	nothing: nil
"""


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    return make_site(static=TRANSPORTS)


def test_without_routes_the_domain_is_the_hop(site: Site) -> None:
    assert next_hop(site.config, FLOW, localserve=False) == Direct("there.example")
    assert next_hop(site.config, FLOW, localserve=True) == OurOwnPort()


@pytest.mark.parametrize(
    ("name", "port", "tls"),
    [
        ("implicit", 465, TLSPolicy(TLSMode.IMMEDIATE, verify=True)),
        ("strict", 587, TLSPolicy(TLSMode.REQUIRED, verify=True)),
        ("loose", 25, TLSPolicy(TLSMode.REQUIRED)),
        ("plain", 2525, PLAINTEXT),
    ],
)
def test_smarthosts(site: Site, name: str, port: int, tls: TLSPolicy) -> None:
    hop = next_hop(site.config, structs.replace(FLOW, transport=name), localserve=False)
    assert isinstance(hop, Smarthost)
    assert (hop.transport, hop.server.host, hop.server.port, hop.tls) == (
        name,
        "relay.example",
        port,
        tls,
    )
    again = next_hop(
        site.config,
        structs.replace(FLOW, transport=name, recipient_domain="x.example"),
        localserve=False,
    )
    assert hash(again) == hash(hop)
    assert again == hop


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "socks",
            Direct("there.example", "socks", ipv4=True, ipv6=False, socks=PROXY),
        ),
        ("four", Direct("there.example", "four", ipv6=False)),
        ("nothing", Direct("there.example", "nothing")),
        ("unknown", Refusal("cannot find transport 'unknown'", transport="unknown")),
        ("later", Refusal("451 4.7.0 come back", False, 451, "7.0", "later")),
        (
            "never",
            Refusal("554 5.7.0 delivery is disabled by the transport", True, 554, "7.0", "never"),
        ),
    ],
)
def test_other_transports(site: Site, name: str, expected: object) -> None:
    flow = structs.replace(FLOW, transport=name)
    assert next_hop(site.config, flow, localserve=False) == expected
    if isinstance(expected, Refusal) and expected.code:
        assert next_hop(site.config, flow, localserve=True) == expected


def test_disabled_sender_domain_waits(site: Site) -> None:
    hop = next_hop(
        site.config, structs.replace(FLOW, sender_domain="off.example"), localserve=False
    )
    assert isinstance(hop, Refusal)
    assert not hop.permanent


def route(transport: str, *conditions: str, indent: str = "") -> str:
    """One route of domains.conf; conditions such as `ToDomain x.example`."""
    lines = [f"{indent}\t-"]
    for condition in conditions:
        name, _, values = condition.partition(" ")
        if name == "MinimumAttempts":
            lines.append(f"{indent}\t\t{name}: {values}")
        else:
            lines.append(f"{indent}\t\t{name}:")
            lines += [f"{indent}\t\t\t- {value}" for value in values.split()]
    return "\n".join([*lines, f"{indent}\t\tTransport: {transport}\n"])


def chosen(site: Site, **changes: object) -> str:
    hop = next_hop(site.config, structs.replace(FLOW, **changes), localserve=False)
    return getattr(hop, "transport", "")


@pytest.mark.parametrize(
    ("condition", "changes", "matches"),
    [
        ("ToDomain there.example", {}, True),
        ("ToDomain .example", {}, True),
        ("ToDomain .there.example", {}, True),
        ("ToDomain here.example", {}, False),
        ("ToDomain .here.example", {}, False),
        ("ToDomain re.example", {}, False),
        ("ToDomain a.example there.example", {}, True),
        ("ToDomain bücher.example", {"recipient_domain": "xn--bcher-kva.example"}, True),
        ("ToDomain .", {}, False),
        ("ToDomain .", {"recipient_domain": "[192.0.2.1]"}, True),
        ("FromDomain .", {"sender_domain": ""}, True),
        ("FromDomain example.org", {"sender_domain": ""}, False),
        ("FromDomain example.org", {}, True),
        ("FromDomain other.example", {}, False),
        ("MinimumAttempts 2", {"attempts": 1}, False),
        ("MinimumAttempts 2", {"attempts": 2}, True),
    ],
)
def test_conditions_of_routes(
    make_site: Callable[..., Site], condition: str, changes: dict[str, object], matches: bool
) -> None:
    site = make_site(static=TRANSPORTS, dynamic="Routes:\n" + route("plain", condition))
    assert chosen(site, **changes) == ("plain" if matches else "")


def test_account_comes_before_domain_before_server(make_site: Callable[..., Site]) -> None:
    site = make_site(
        static=TRANSPORTS,
        account="\t\tRoutes:\n" + route("four", "ToDomain one.example", indent="\t\t"),
        domain="\t\tRoutes:\n" + route("loose", "ToDomain one.example two.example", indent="\t\t"),
        dynamic="Routes:\n" + route("later", "MinimumAttempts 3") + route("plain"),
    )
    assert chosen(site, recipient_domain="one.example") == "four"
    assert chosen(site, recipient_domain="one.example", sender_account="second") == "loose"
    assert chosen(site, recipient_domain="two.example") == "loose"
    assert chosen(site) == "plain"
    assert chosen(site, attempts=3) == "later"
    assert chosen(site, recipient_domain="one.example", transport="strict") == "strict"
