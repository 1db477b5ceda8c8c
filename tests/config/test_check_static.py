"""Each rule for mox.conf has a case that breaks it."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mox import sconf
from tests.config.texts import Files, at

LISTENER = "Listeners/local"
KEY_CERTS: sconf.Plain = [{"CertFile": "cert.pem", "KeyFile": "key.pem"}]
ENABLED = {"Enabled": "true"}
ACME = {"DirectoryURL": "https://acme.example/dir", "ContactEmail": "mjl@example.org"}
TLS = {"KeyCerts": KEY_CERTS}
SMARTHOST = {"Host": "relay.example.net"}

RULES: list[tuple[str, sconf.Plain, str]] = [
    ("LogLevel", "verbose", "LogLevel: unknown log level 'verbose'"),
    ("PackageLogLevels", {"queue": "x"}, "PackageLogLevels.queue: unknown log level"),
    ("DataDir", "", "DataDir: must not be empty"),
    ("Hostname", "mail..example", "Hostname: empty domain label"),
    ("Hostname", "mail.example.", "Hostname: empty domain label"),
    ("Hostname", "192.0.2.1", "Hostname: domain must not be an IP address"),
    ("Hostname", "Mail.example", "Hostname: must be written as mail.example"),
    ("Hostname", "xn--mnchen-3ya.example", "Hostname: must be written as münchen.example"),
    (
        "HostTLSRPT",
        {"Account": "mjl", "Mailbox": "T", "Localpart": "ü"},
        "HostTLSRPT.Localpart: localpart must be ASCII",
    ),
    (
        "HostTLSRPT",
        {"Account": "mjl", "Mailbox": "T", "Localpart": "a b"},
        "HostTLSRPT.Localpart: bad localpart",
    ),
    ("ACME/le", ACME | {"DirectoryURL": ""}, "ACME.le.DirectoryURL: must be an address"),
    ("ACME/le", ACME | {"ContactEmail": ""}, "ACME.le.ContactEmail: must not be empty"),
    ("ACME/le", ACME | {"Port": "70000"}, "ACME.le.Port: must be a port"),
    (f"{LISTENER}/IPs", ["127.0.0.256"], "Listeners.local.IPs[0]: bad IP address"),
    (f"{LISTENER}/Hostname", "a b", "Listeners.local.Hostname: bad label"),
    (f"{LISTENER}/NATIPs", ["x"], "Listeners.local.NATIPs[0]: bad IP address"),
    (f"{LISTENER}/NATIPs", ["0.0.0.0"], "Listeners.local.NATIPs[0]: 0.0.0.0 is not a public"),
    (f"{LISTENER}/NATIPs", ["::1"], "Listeners.local.NATIPs[0]: ::1 is not a public"),
    (f"{LISTENER}/SMTPMaxMessageSize", "-1", "Listeners.local.SMTPMaxMessageSize: must not be"),
    (f"{LISTENER}/TLS", {"MinVersion": "TLSv1.2"}, "Listeners.local.TLS: either ACME or KeyCerts"),
    (f"{LISTENER}/TLS", {"ACME": "none"}, "Listeners.local.TLS.ACME: unknown entry 'none'"),
    (
        f"{LISTENER}/TLS",
        {"KeyCerts": KEY_CERTS, "MinVersion": "1.2"},
        "Listeners.local.TLS.MinVersion: unknown version",
    ),
    (f"{LISTENER}/SMTP", ENABLED, "Listeners.local.SMTP: needs the listener's TLS block"),
    (f"{LISTENER}/Submission", ENABLED, "Listeners.local.Submission: needs the listener's TLS"),
    (f"{LISTENER}/Submissions", ENABLED, "Listeners.local.Submissions: needs the listener's TLS"),
    (f"{LISTENER}/IMAPS", ENABLED, "Listeners.local.IMAPS: needs the listener's TLS"),
    (f"{LISTENER}/AccountHTTPS", ENABLED, "Listeners.local.AccountHTTPS: needs the listener's"),
    (f"{LISTENER}/AdminHTTPS", ENABLED, "Listeners.local.AdminHTTPS: needs the listener's TLS"),
    (f"{LISTENER}/WebmailHTTPS", ENABLED, "Listeners.local.WebmailHTTPS: needs the listener's"),
    (f"{LISTENER}/WebAPIHTTPS", ENABLED, "Listeners.local.WebAPIHTTPS: needs the listener's TLS"),
    (f"{LISTENER}/AutoconfigHTTPS", ENABLED, "Listeners.local.AutoconfigHTTPS: needs the"),
    (f"{LISTENER}/MTASTSHTTPS", ENABLED, "Listeners.local.MTASTSHTTPS: needs the listener's TLS"),
    (f"{LISTENER}/WebserverHTTPS", ENABLED, "Listeners.local.WebserverHTTPS: needs the listener"),
    (f"{LISTENER}/SMTP/DNSBLs", ["a..b"], "Listeners.local.SMTP.DNSBLs[0]: empty domain label"),
    (
        f"{LISTENER}/SMTP/FirstTimeSenderDelay",
        "-1s",
        "Listeners.local.SMTP.FirstTimeSenderDelay: must not be negative",
    ),
    (
        f"{LISTENER}/ProxyProtocol",
        {"Networks": ["192.0.2.0/33"]},
        "Listeners.local.ProxyProtocol.Networks[0]: bad network",
    ),
    (
        f"{LISTENER}/AccountHTTP",
        {"Enabled": "true", "Path": "account/"},
        "Listeners.local.AccountHTTP.Path: must begin with a slash",
    ),
    (
        f"{LISTENER}/IMAP",
        {"Enabled": "true", "NoRequireSTARTTLS": "true", "Port": "25"},
        "Listeners.local.IMAP: port 25 of 127.0.0.1 is taken by local.SMTP",
    ),
    (
        f"{LISTENER}/PprofHTTP",
        {"Enabled": "true", "Port": "80"},
        "Listeners.local.WebserverHTTP: port 80 of 127.0.0.1 is taken by local.PprofHTTP",
    ),
    (
        f"{LISTENER}/MetricsHTTP",
        {"Enabled": "true", "Port": "65536"},
        "Listeners.local.MetricsHTTP.Port: must be a port",
    ),
    ("InitialMailboxes/Regular", ["a\u0301"], "InitialMailboxes.Regular[0]: mailbox name is not"),
    ("FailureCopiesTo", "failures", "FailureCopiesTo: missing @ in address"),
    ("InitialMailboxes/Regular", ["inbox"], "InitialMailboxes.Regular[0]: must not be Inbox"),
    ("InitialMailboxes/Regular", ["a/b"], "InitialMailboxes.Regular[0]: must be at the top level"),
    ("InitialMailboxes/Regular", ["a", "a"], "InitialMailboxes.Regular[1]: duplicate mailbox"),
    (
        "InitialMailboxes/SpecialUse/Draft",
        "#x",
        "InitialMailboxes.SpecialUse.Draft: mailbox name begins with #",
    ),
    ("Transports/x", {"SMTP": SMARTHOST, "Fail": {"SMTPCode": "451"}}, "Transports.x: only one"),
    ("Transports/x/SMTP", {"Host": "a..b"}, "Transports.x.SMTP.Host: empty domain label"),
    (
        "Transports/x/SMTP",
        SMARTHOST | {"Port": "65536"},
        "Transports.x.SMTP.Port: must be a port",
    ),
    (
        "Transports/x/Submissions",
        SMARTHOST | {"NoSTARTTLS": "true"},
        "Transports.x.Submissions.NoSTARTTLS: not possible",
    ),
    (
        "Transports/x/Submissions",
        SMARTHOST | {"STARTTLSInsecureSkipVerify": "true"},
        "Transports.x.Submissions.STARTTLSInsecureSkipVerify: not possible",
    ),
    (
        "Transports/x/SMTP",
        SMARTHOST | {"Auth": {"Username": "u", "Password": "p", "Mechanisms": ["LOGIN"]}},
        "Transports.x.SMTP.Auth.Mechanisms[0]: unknown mechanism 'LOGIN'",
    ),
    (
        "Transports/x/SMTP",
        SMARTHOST | {"Auth": {"Username": "u", "Password": "p", "Mechanisms": ["PLAIN", "PLAIN"]}},
        "Transports.x.SMTP.Auth.Mechanisms[1]: duplicate mechanism",
    ),
    (
        "Transports/x/Socks",
        {"Address": "proxy", "RemoteIPs": ["192.0.2.1"], "RemoteHostname": "a.example"},
        "Transports.x.Socks.Address: must be host:port",
    ),
    (
        "Transports/x/Socks",
        {"Address": "proxy:1080", "RemoteIPs": ["x"], "RemoteHostname": "a.example"},
        "Transports.x.Socks.RemoteIPs[0]: bad IP address",
    ),
    (
        "Transports/x/Socks",
        {"Address": "proxy:1080", "RemoteIPs": ["192.0.2.1"], "RemoteHostname": "a..b"},
        "Transports.x.Socks.RemoteHostname: empty domain label",
    ),
    (
        "Transports/x/Direct",
        {"DisableIPv4": "true", "DisableIPv6": "true"},
        "Transports.x.Direct: IPv4 and IPv6 cannot both be off",
    ),
    ("Transports/x/Fail", {"SMTPCode": "250"}, "Transports.x.Fail.SMTPCode: must be from 400"),
    ("Transports/x/Fail", {"SMTPMessage": "ü"}, "Transports.x.Fail.SMTPMessage: must be printable"),
    ("Transports/x/Fail", {"SMTPMessage": "x" * 257}, "Transports.x.Fail.SMTPMessage: must be"),
]


@pytest.mark.parametrize(("path", "value", "problem"), RULES)
def test_broken_rule_is_the_only_error(
    files: Files, path: str, value: sconf.Plain, problem: str
) -> None:
    files.static.set(at(path), value)
    problems = files.problems()
    assert len(problems) == 1
    assert problems[0].startswith(problem)


VALID: list[tuple[str, sconf.Plain]] = [
    ("LogLevel", "tracedata"),
    (f"{LISTENER}/TLS", TLS),
    (f"{LISTENER}/ProxyProtocol", {"Networks": ["192.0.2.0/24", "::1"]}),
    (f"{LISTENER}/Submission", ENABLED | {"NoRequireSTARTTLS": "true"}),
    (f"{LISTENER}/AccountHTTP", ENABLED),
    (f"{LISTENER}/MetricsHTTP", {"Enabled": "true", "Port": "80"}),
    ("Transports/x/SMTP/Host", "münchen.example"),
    ("Transports/x/Direct/DisableIPv4", "true"),
    ("InitialMailboxes/SpecialUse/Junk", "Spam"),
    ("DefaultMailboxes", ["Inbox", "Sent"]),
]


@pytest.mark.parametrize(("path", "value"), VALID)
def test_valid_settings(files: Files, path: str, value: sconf.Plain) -> None:
    files.static.set(at(path), value)
    assert files.problems() == []


def test_the_samples_are_valid(files: Files) -> None:
    assert files.problems() == []
    assert files.warnings() == []


def test_nat_fields_exclude_each_other(files: Files) -> None:
    files.static.set(at(f"{LISTENER}/NATIPs"), ["192.0.2.1"])
    files.static.set(at(f"{LISTENER}/IPsNATed"), "true")
    assert files.problems() == ["Listeners.local.IPsNATed: cannot be used together with NATIPs"]


def test_mailbox_fields_exclude_each_other(files: Files) -> None:
    files.static.set(["DefaultMailboxes"], ["Sent"])
    files.static.set(at("InitialMailboxes/Regular"), ["Lists"])
    assert files.problems() == ["DefaultMailboxes: cannot be used together with InitialMailboxes"]


def test_services_on_one_port_agree_on_tls(files: Files) -> None:
    files.static.set(at(f"{LISTENER}/TLS"), TLS)
    files.static.set(at(f"{LISTENER}/AutoconfigHTTPS"), {"Enabled": "true", "Port": "8443"})
    assert files.problems() == [
        "Listeners.local.MTASTSHTTPS: port 8443 of 127.0.0.1 is taken by local.AutoconfigHTTPS, "
        "which serves https"
    ]


def test_a_port_is_of_one_listener(files: Files) -> None:
    web = {"Enabled": "true", "Port": "8080"}
    files.static.set(at(f"{LISTENER}/WebAPIHTTP"), web)
    files.static.set(at(f"{LISTENER}/MetricsHTTP"), web)
    assert files.problems() == []
    files.static.set(at("Listeners/second"), {"IPs": ["127.0.0.1"], "WebAPIHTTP": web})
    assert files.problems() == [
        "Listeners.second.WebAPIHTTP: port 8080 of 127.0.0.1 is taken by local.MetricsHTTP, "
        "which serves http"
    ]


def test_tls_is_from_one_source(files: Files) -> None:
    files.static.set(at("ACME/le"), ACME)
    files.static.set(at(f"{LISTENER}/TLS"), {"ACME": "le", "KeyCerts": KEY_CERTS})
    problem = "Listeners.local.TLS: ACME and KeyCerts cannot be used together"
    assert files.problems() == [problem]


def test_several_broken_rules_are_all_told(files: Files) -> None:
    files.static.set(["LogLevel"], "x")
    files.static.set(["Hostname"], "X")
    files.static.set(at(f"{LISTENER}/IPs"), ["x", "y"])
    files.dynamic.set(at("Accounts/mjl/Domain"), "a..b")
    assert len(files.problems()) == 5


def test_what_follows_from_a_bad_field_is_not_told(files: Files) -> None:
    files.static.remove(["Hostname"])
    files.static.set(["LogLevel"], {"a": "b"})
    problems = files.problems()
    assert len(problems) == 2
    assert "Hostname: required field is missing" in problems


def test_path_without_slash_at_its_end_is_a_warning(files: Files) -> None:
    files.static.set(at(f"{LISTENER}/AccountHTTP"), {"Enabled": "true", "Path": "/account"})
    assert files.warnings() == [
        "Listeners.local.AccountHTTP.Path: should end with a slash, which is added"
    ]
    assert files.load().static.listeners["local"].account_http.path == "/account/"


def test_imap_where_nobody_can_log_in_is_a_warning(files: Files) -> None:
    files.static.set(at(f"{LISTENER}/IMAP"), ENABLED)
    assert files.warnings()[0].startswith("Listeners.local.IMAP: nobody can log in")


# Users and files.


def write_key(path: Path, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> None:
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def write_certificate(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(certificate.public_bytes(Encoding.PEM))


@pytest.fixture
def real(files: Files, tmp_path: Path) -> Files:
    """Return a configuration whose user and certificate exist."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_key(tmp_path / "key.pem", key)
    write_certificate(tmp_path / "cert.pem", key)
    files.static.set(["User"], str(os.getuid()))
    files.static.set(at(f"{LISTENER}/TLS"), TLS)
    return files


def real_problems(files: Files) -> list[str]:
    return files.problems(check_files=True)


def test_existing_files_are_fine(real: Files) -> None:
    assert real_problems(real) == []


@pytest.mark.parametrize("user", ["nosuchuser", "99999999999", "-1", "x\x00"])
def test_user_must_exist_or_be_a_number(real: Files, user: str) -> None:
    real.static.set(["User"], user)
    assert real_problems(real)[0].startswith("User: no such user")


def test_key_must_fit_its_certificate(real: Files, tmp_path: Path) -> None:
    write_key(tmp_path / "key.pem", ec.generate_private_key(ec.SECP256R1()))
    assert "not the key of the certificate" in real_problems(real)[0]


@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN PRIVATE KEY-----\nx\n"])
@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
def test_unreadable_pem_is_an_error(real: Files, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    problems = real_problems(real)
    assert len(problems) == 1
    assert problems[0].startswith("Listeners.local.TLS.KeyCerts[0]: ")
    assert name in problems[0]


def test_missing_key_file_is_an_error(real: Files, tmp_path: Path) -> None:
    (tmp_path / "key.pem").unlink()
    assert "No such file" in real_problems(real)[0]


def test_authorities_must_be_readable(real: Files, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    real.static.set(at("TLS/CA/CertFiles"), ["cert.pem", "ca.pem", "missing.pem"])
    problems = real_problems(real)
    assert [problem.split(":")[0] for problem in problems] == [
        "TLS.CA.CertFiles[1]",
        "TLS.CA.CertFiles[2]",
    ]


@pytest.mark.parametrize(
    ("content", "is_good"),
    [
        (base64.urlsafe_b64encode(b"?>" * 20).rstrip(b"="), True),
        (base64.urlsafe_b64encode(b"?>" * 20).rstrip(b"=") + b"\n", True),
        (b"YQ==", False),
        (b"", False),
        (b"a+b/", False),
    ],
)
def test_mac_key_of_acme(real: Files, tmp_path: Path, content: bytes, is_good: bool) -> None:
    (tmp_path / "mac").write_bytes(content)
    binding = {"KeyID": "k", "KeyFile": "mac"}
    real.static.set(at("ACME/le"), {**ACME, "ExternalAccountBinding": binding})
    problems = real_problems(real)
    assert (problems == []) is is_good


def test_other_host_keys_are_a_warning(real: Files, tmp_path: Path) -> None:
    write_key(tmp_path / "a.pem", ec.generate_private_key(ec.SECP384R1()))
    write_key(tmp_path / "b.pem", rsa.generate_private_key(65537, 2048))
    real.static.set(at("ACME/le"), ACME)
    real.static.set(
        at(f"{LISTENER}/TLS"), {"ACME": "le", "HostPrivateKeyFiles": ["a.pem", "b.pem"]}
    )
    warnings = [warning.message for warning in real.load(check_files=True).warnings]
    assert warnings == [
        "neither RSA-2048 nor P-256: not used",
        "should have an RSA-2048 and a P-256 key",
    ]
    real.static.set(at(f"{LISTENER}/TLS/HostPrivateKeyFiles"), ["missing.pem"])
    assert "No such file" in real_problems(real)[0]
