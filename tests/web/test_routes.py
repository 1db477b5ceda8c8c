"""From a listener's configuration to what its ports serve."""

from __future__ import annotations

from pathlib import Path

from mox.web.routes import Hosts, Mount, site_of, web_ports
from tests.web.configs import WEBAPI, config_of

ALL = """\
TLS:
	KeyCerts:
		-
			CertFile: x.crt
			KeyFile: x.key
WebAPIHTTP:
	Enabled: true
	Port: 1080
	Path: /programs/
WebAPIHTTPS:
	Enabled: true
	Port: 1443
	Forwarded: true
MetricsHTTP:
	Enabled: true
	Port: 1080
AccountHTTP:
	Enabled: true
	Port: 1090
"""


def test_ports_are_those_of_services_that_are_there(tmp_path: Path) -> None:
    config = config_of(tmp_path, ALL)
    assert web_ports(config.static.listeners["local"]) == {1080: False, 1443: True}
    off = config_of(tmp_path, "WebAPIHTTP:\n\tEnabled: false\n")
    assert web_ports(off.static.listeners["local"]) == {}


def test_services_share_a_port_the_longest_path_first(tmp_path: Path) -> None:
    site = site_of(config_of(tmp_path, ALL), "local", 1080)
    assert site.mounts == (Mount("webapi", "/programs/"), Mount("metrics", "/", Hosts.ANY))
    assert not site.is_https
    assert not site.forwarded


def test_a_site_with_tls_and_a_proxy_in_front(tmp_path: Path) -> None:
    site = site_of(config_of(tmp_path, ALL), "local", 1443)
    assert site.mounts == (Mount("webapi", "/webapi/"),)
    assert site.is_https
    assert site.forwarded


def test_a_service_answers_under_our_names_only(tmp_path: Path) -> None:
    domain = "ClientSettingsDomain: settings.mox.example"
    site = site_of(config_of(tmp_path, WEBAPI, domain), "local", 1080)
    for host in ("localhost", "192.0.2.1", "[::1]", "mail.mox.example", "settings.mox.example"):
        assert site.find(host, "/webapi/v0/Send") == Mount("webapi", "/webapi/")
    for host in ("mox.example", "other.example", "evil.example", ""):
        assert site.find(host, "/webapi/") is None
        assert site.redirect(host, "/webapi") is None


def test_a_listener_with_a_name_of_its_own_has_that_one(tmp_path: Path) -> None:
    site = site_of(config_of(tmp_path, f"Hostname: inside.example\n{WEBAPI}"), "local", 1080)
    assert site.find("inside.example", "/webapi/") is not None
    assert site.find("mail.mox.example", "/webapi/") is None


def test_paths_are_compared_by_segments(tmp_path: Path) -> None:
    site = site_of(config_of(tmp_path, WEBAPI), "local", 1080)
    assert site.find("localhost", "/webapi/") is not None
    for path in ("/", "/webapi", "/webapis/", "/Webapi/", "/x/webapi/"):
        assert site.find("localhost", path) is None
    assert site.redirect("localhost", "/webapi") == "/webapi/"
    assert site.redirect("localhost", "/other") is None
