"""Each rule for domains.conf has a case that breaks it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mox import sconf
from mox.config import keyfiles
from tests.config.texts import Files, at

DOMAIN = "Domains/example.org"
ACCOUNT = "Accounts/mjl"
DESTINATION = f"{ACCOUNT}/Destinations/mjl@example.org"
RULESET = f"{DESTINATION}/Rulesets"
SELECTOR = f"{DOMAIN}/DKIM/Selectors/a"
KEY = {"PrivateKeyFile": "key.pem"}
REPORT = {"Localpart": "r", "Account": "mjl", "Mailbox": "R"}
PARAMS = {"MaxPower": "0.01", "TopWords": "10"}
RULE = {"SMTPMailFromRegexp": "x", "Mailbox": "Lists"}
HANDLER = {"Domain": "example.org", "PathRegexp": "^/"}
STATIC_FILES = {"WebStatic": {"Root": "web"}}
MTASTS = {"PolicyID": "1", "Mode": "enforce", "MaxAge": "24h"}

RULES: list[tuple[str, sconf.Plain, str]] = [
    # Routes.
    ("Routes", [{"Transport": "none"}], "Routes[0].Transport: unknown transport 'none'"),
    (
        f"{DOMAIN}/Routes",
        [{"Transport": "relay", "FromDomain": ["a..b"]}],
        "Domains.example.org.Routes[0].FromDomain[0]: empty domain label",
    ),
    (
        f"{ACCOUNT}/Routes",
        [{"Transport": "relay", "ToDomain": ["..b"]}],
        "Accounts.mjl.Routes[0].ToDomain[0]: empty domain label",
    ),
    # Domains.
    ("Domains/Example.net", sconf.NIL, "Domains.Example.net: must be written as example.net"),
    ("Domains/a..b", sconf.NIL, "Domains.a..b: empty domain label"),
    (f"{DOMAIN}/ClientSettingsDomain", "a b", "Domains.example.org.ClientSettingsDomain: bad"),
    (
        f"{DOMAIN}/LocalpartCatchallSeparators",
        ["+"],
        "Domains.example.org.LocalpartCatchallSeparators: cannot be used together",
    ),
    (
        "Domains/empty.example/LocalpartCatchallSeparators",
        ["+", "-", "+"],
        "Domains.empty.example.LocalpartCatchallSeparators[2]: duplicate separator",
    ),
    (
        "Domains/empty.example/LocalpartCatchallSeparators",
        [""],
        "Domains.empty.example.LocalpartCatchallSeparators[0]: separator is empty",
    ),
    # DKIM.
    (
        f"{DOMAIN}/DKIM",
        {"Selectors": {"a": KEY}, "Sign": ["a", "b"]},
        "Domains.example.org.DKIM.Sign[1]: unknown selector 'b'",
    ),
    (
        f"{DOMAIN}/DKIM/Selectors/A",
        KEY,
        "Domains.example.org.DKIM.Selectors.A: must be written as a",
    ),
    (SELECTOR, KEY | {"Expiration": "3d"}, "Domains.example.org.DKIM.Selectors.a.Expiration: exp"),
    (SELECTOR, KEY | {"Hash": "md5"}, "Domains.example.org.DKIM.Selectors.a.Hash: unknown hash"),
    (
        SELECTOR,
        KEY | {"Headers": ["To"]},
        "Domains.example.org.DKIM.Selectors.a.Headers: must contain From",
    ),
    # MTA-STS.
    (f"{DOMAIN}/MTASTS", MTASTS | {"PolicyID": ""}, "Domains.example.org.MTASTS.PolicyID: must"),
    (f"{DOMAIN}/MTASTS", MTASTS | {"Mode": "x"}, "Domains.example.org.MTASTS.Mode: unknown mode"),
    (f"{DOMAIN}/MTASTS", MTASTS | {"MaxAge": "-1h"}, "Domains.example.org.MTASTS.MaxAge: must"),
    # Reports.
    (
        f"{DOMAIN}/DMARC",
        REPORT | {"Account": "none"},
        "Domains.example.org.DMARC.Account: unknown account 'none'",
    ),
    (
        f"{DOMAIN}/DMARC",
        REPORT | {"Localpart": "ü"},
        "Domains.example.org.DMARC.Localpart: localpart must be ASCII",
    ),
    (
        f"{DOMAIN}/TLSRPT",
        REPORT | {"Localpart": "a b"},
        "Domains.example.org.TLSRPT.Localpart: bad localpart",
    ),
    (
        f"{DOMAIN}/TLSRPT",
        REPORT | {"Domain": "other.example"},
        "Domains.example.org.TLSRPT.Domain: unknown domain other.example",
    ),
    (
        f"{DOMAIN}/TLSRPT",
        REPORT | {"Mailbox": "a//b"},
        "Domains.example.org.TLSRPT.Mailbox: mailbox name has a slash",
    ),
    # Accounts.
    (f"{ACCOUNT}/Domain", "a..b", "Accounts.mjl.Domain: empty domain label"),
    ("Accounts/..", {"Domain": "example.org"}, "Accounts...: account name must do as a directory"),
    ("Accounts/a%b", {"Domain": "example.org"}, ""),
    (
        "Accounts/" + "x" * 201,
        {"Domain": "example.org"},
        "Accounts." + "x" * 201 + ": account name must have 1 to 200 bytes",
    ),
    (f"{ACCOUNT}/RejectsMailbox", "inbox", "Accounts.mjl.RejectsMailbox: must not be Inbox"),
    (f"{ACCOUNT}/Introbox", "INBOX", "Accounts.mjl.Introbox: must not be Inbox"),
    (f"{ACCOUNT}/Introbox", "a/../b", "Accounts.mjl.Introbox: mailbox name has . or .."),
    (f"{ACCOUNT}/LoginDisabled", "ü", "Accounts.mjl.LoginDisabled: must be printable ASCII"),
    (f"{ACCOUNT}/LoginDisabled", "x" * 257, "Accounts.mjl.LoginDisabled: must be printable"),
    (
        f"{ACCOUNT}/AutomaticJunkFlags",
        {"Enabled": "true", "JunkMailboxRegexp": "("},
        "Accounts.mjl.AutomaticJunkFlags.JunkMailboxRegexp: bad regular expression",
    ),
    (
        f"{ACCOUNT}/AutomaticJunkFlags",
        {"Enabled": "true", "NeutralMailboxRegexp": "(?=a)"},
        "Accounts.mjl.AutomaticJunkFlags.NeutralMailboxRegexp: bad regular expression: invalid",
    ),
    (
        f"{ACCOUNT}/AutomaticJunkFlags",
        {"Enabled": "true", "NotJunkMailboxRegexp": "*"},
        "Accounts.mjl.AutomaticJunkFlags.NotJunkMailboxRegexp: bad regular expression",
    ),
    (
        f"{ACCOUNT}/JunkFilter",
        {"Threshold": "1.1", "Params": PARAMS},
        "Accounts.mjl.JunkFilter.Threshold: must be from 0 to 1",
    ),
    (
        f"{ACCOUNT}/JunkFilter",
        {"Threshold": "0.9", "Params": PARAMS | {"MaxPower": "0.6"}},
        "Accounts.mjl.JunkFilter.Params.MaxPower: must be above 0 and at most 0.5",
    ),
    (
        f"{ACCOUNT}/JunkFilter",
        {"Threshold": "0.9", "Params": PARAMS | {"IgnoreWords": "-0.1"}},
        "Accounts.mjl.JunkFilter.Params.IgnoreWords: must be from 0 to 0.5",
    ),
    (
        f"{ACCOUNT}/JunkFilter",
        {"Threshold": "0.9", "Params": PARAMS | {"TopWords": "-1"}},
        "Accounts.mjl.JunkFilter.Params.TopWords: must not be negative",
    ),
    (
        f"{ACCOUNT}/JunkFilter",
        {"Threshold": "0.9", "Params": PARAMS | {"RareWords": "-1"}},
        "Accounts.mjl.JunkFilter.Params.RareWords: must not be negative",
    ),
    (
        f"{ACCOUNT}/MaxOutgoingMessagesPerDay",
        "-1",
        "Accounts.mjl.MaxOutgoingMessagesPerDay: must not be negative",
    ),
    (
        f"{ACCOUNT}/KeepRetiredMessagePeriod",
        "-1h",
        "Accounts.mjl.KeepRetiredMessagePeriod: must not be negative",
    ),
    (
        f"{ACCOUNT}/IMAPCapabilitiesDisabled",
        ["notify"],
        "Accounts.mjl.IMAPCapabilitiesDisabled[0]: must be in capitals",
    ),
    # Logins with unique senders.
    (
        f"{ACCOUNT}/FromIDLoginAddresses",
        ["mjl"],
        "Accounts.mjl.FromIDLoginAddresses[0]: missing @",
    ),
    (
        f"{ACCOUNT}/FromIDLoginAddresses",
        ["mjl@other.example"],
        "Accounts.mjl.FromIDLoginAddresses[0]: unknown domain other.example",
    ),
    (
        f"{ACCOUNT}/FromIDLoginAddresses",
        ["Upper@case.example"],
        "Accounts.mjl.FromIDLoginAddresses[0]: domain case.example needs a catch-all separator",
    ),
    (
        f"{ACCOUNT}/FromIDLoginAddresses",
        ["none@example.org"],
        "Accounts.mjl.FromIDLoginAddresses[0]: no account has the address",
    ),
    # Webhooks.
    (
        f"{ACCOUNT}/OutgoingWebhook",
        {"URL": "ftp://a.example"},
        "Accounts.mjl.OutgoingWebhook.URL: must be an address with http or https",
    ),
    (
        f"{ACCOUNT}/IncomingWebhook",
        {"URL": "https://[x"},
        "Accounts.mjl.IncomingWebhook.URL: must be an address with http or https",
    ),
    (
        f"{ACCOUNT}/IncomingWebhook",
        {"URL": "https://a.example:99999"},
        "Accounts.mjl.IncomingWebhook.URL: must be an address with http or https",
    ),
    (
        f"{ACCOUNT}/OutgoingWebhook",
        {"URL": "https://a.example", "Events": ["failed", "x"]},
        "Accounts.mjl.OutgoingWebhook.Events[1]: unknown event 'x'",
    ),
    (
        f"{ACCOUNT}/IncomingWebhook",
        {"URL": "https://a.example/a b"},
        "Accounts.mjl.IncomingWebhook.URL: must be an address with http or https",
    ),
    (
        f"{ACCOUNT}/OutgoingWebhook",
        {"URL": "https://a.example", "Authorization": "Bearer \x07"},
        "Accounts.mjl.OutgoingWebhook.Authorization: must not have control characters",
    ),
    # Destinations.
    (
        f"{ACCOUNT}/Destinations/a@other.example",
        sconf.NIL,
        "Accounts.mjl.Destinations.a@other.example: unknown domain other.example",
    ),
    (
        f"{ACCOUNT}/Destinations/@other.example",
        sconf.NIL,
        "Accounts.mjl.Destinations.@other.example: unknown domain other.example",
    ),
    (
        f"{ACCOUNT}/Destinations/@",
        sconf.NIL,
        "Accounts.mjl.Destinations.@: empty domain label",
    ),
    (
        f"{ACCOUNT}/Destinations/a b@example.org",
        sconf.NIL,
        "Accounts.mjl.Destinations.a b@example.org: bad localpart",
    ),
    (
        f"{ACCOUNT}/Destinations/a+b@example.org",
        sconf.NIL,
        "Accounts.mjl.Destinations.a+b@example.org: localpart must not contain the catch-all",
    ),
    (
        f"{ACCOUNT}/Destinations/Second@example.org",
        sconf.NIL,
        "Accounts.second.Destinations.second@example.org: duplicate address second@example.org: "
        "account mjl has it too",
    ),
    (
        f"{ACCOUNT}/Destinations/MJL@example.org",
        sconf.NIL,
        "Accounts.mjl.Destinations.MJL@example.org: duplicate address mjl@example.org",
    ),
    (DESTINATION, {"Mailbox": "a\x07"}, "Accounts.mjl.Destinations.mjl@example.org.Mailbox: mail"),
    (
        DESTINATION,
        {"SMTPError": "552 no"},
        "Accounts.mjl.Destinations.mjl@example.org.SMTPError: must begin with 421 or 550",
    ),
    (
        DESTINATION,
        {"SMTPError": "550 n\u00f6"},
        "Accounts.mjl.Destinations.mjl@example.org.SMTPError: must be printable ASCII",
    ),
    (
        DESTINATION,
        {"SMTPError": "550 no", "Mailbox": "Lists"},
        "Accounts.mjl.Destinations.mjl@example.org.SMTPError: cannot be used together",
    ),
    (
        DESTINATION,
        {"MessageAuthRequiredSMTPError": "x" * 257},
        "Accounts.mjl.Destinations.mjl@example.org.MessageAuthRequiredSMTPError: must be",
    ),
    # Rulesets.
    (RULESET, [{"Mailbox": "x"}], "…Rulesets[0]: at least one condition is needed"),
    (RULESET, [RULE | {"Mailbox": "a\\//b"}], "…Rulesets[0].Mailbox: mailbox name has a slash"),
    (RULESET, [RULE | {"SMTPMailFromRegexp": "("}], "…Rulesets[0].SMTPMailFromRegexp: bad reg"),
    (RULESET, [RULE | {"MsgFromRegexp": "["}], "…Rulesets[0].MsgFromRegexp: bad regular"),
    (RULESET, [RULE | {"HeadersRegexp": {"(": "x"}}], "…Rulesets[0].HeadersRegexp.(: bad regular"),
    (RULESET, [RULE | {"HeadersRegexp": {"x": "("}}], "…Rulesets[0].HeadersRegexp.x: bad regular"),
    (RULESET, [RULE | {"HeadersRegexp": {"X": "y"}}], "…Rulesets[0].HeadersRegexp.X: patterns for"),
    (RULESET, [RULE | {"HeadersRegexp": {"x": "Y"}}], "…Rulesets[0].HeadersRegexp.x: patterns for"),
    (RULESET, [RULE | {"VerifiedDomain": "a..b"}], "…Rulesets[0].VerifiedDomain: empty domain"),
    (RULESET, [RULE | {"ListAllowDomain": "a..b"}], "…Rulesets[0].ListAllowDomain: empty domain"),
    (RULESET, [RULE | {"IsForward": "true"}], "…Rulesets[0].IsForward: needs SMTPMailFromRegexp"),
    (
        RULESET,
        [RULE | {"IsForward": "true", "VerifiedDomain": "a.b", "ListAllowDomain": "a.b"}],
        "…Rulesets[0].IsForward: cannot be used together with ListAllowDomain",
    ),
    (
        RULESET,
        [RULE | {"AcceptRejectsToMailbox": "Inbox"}],
        "…Rulesets[0].AcceptRejectsToMailbox: must not be Inbox",
    ),
    # Aliases.
    (
        f"{DOMAIN}/Aliases/a b",
        {"Addresses": ["mjl@example.org"]},
        "Domains.example.org.Aliases.a b: bad localpart",
    ),
    (
        f"{DOMAIN}/Aliases/a+b",
        {"Addresses": ["mjl@example.org"]},
        "Domains.example.org.Aliases.a+b: localpart must not contain a catch-all separator",
    ),
    (
        f"{DOMAIN}/Aliases/Second",
        {"Addresses": ["mjl@example.org"]},
        "Domains.example.org.Aliases.Second: second@example.org is an address of account second",
    ),
    (
        f"{DOMAIN}/Aliases",
        {"team": {"Addresses": ["mjl@example.org"]}, "Team": {"Addresses": ["mjl@example.org"]}},
        "Domains.example.org.Aliases.Team: duplicate alias team@example.org",
    ),
    (
        f"{DOMAIN}/Aliases/team",
        {"Addresses": ["mjl"]},
        "Domains.example.org.Aliases.team.Addresses[0]: missing @",
    ),
    (
        f"{DOMAIN}/Aliases/team",
        {"Addresses": ["none@example.org"]},
        "Domains.example.org.Aliases.team.Addresses[0]: none@example.org is not a canonical",
    ),
    (
        f"{DOMAIN}/Aliases/team",
        {"Addresses": ["MJL@example.org"]},
        "Domains.example.org.Aliases.team.Addresses[0]: MJL@example.org is not a canonical "
        "address of an account: mjl@example.org",
    ),
    (
        f"{DOMAIN}/Aliases/team",
        {"Addresses": ["mjl@example.org", "mjl@example.org"]},
        "Domains.example.org.Aliases.team.Addresses[1]: duplicate member",
    ),
    # Web.
    ("WebDomainRedirects/a..b", "a.example", "WebDomainRedirects.a..b: empty domain label"),
    ("WebDomainRedirects/a.example", "a..b", "WebDomainRedirects.a.example: empty domain label"),
    ("WebDomainRedirects/a.example", "A.example", "WebDomainRedirects.a.example: redirects to"),
    (
        "WebDomainRedirects",
        {"a.example": "b.example", "A.example": "b.example"},
        "WebDomainRedirects.A.example: duplicate domain a.example",
    ),
    ("WebHandlers", [HANDLER], "WebHandlers[0]: one of WebStatic, WebRedirect"),
    (
        "WebHandlers",
        [HANDLER | STATIC_FILES | {"WebForward": {"URL": "http://a.example"}}],
        "WebHandlers[0]: one of WebStatic",
    ),
    (
        "WebHandlers",
        [HANDLER | STATIC_FILES | {"Domain": "a..b"}],
        "WebHandlers[0].Domain: empty domain label",
    ),
    (
        "WebHandlers",
        [HANDLER | STATIC_FILES | {"PathRegexp": "/x"}],
        "WebHandlers[0].PathRegexp: must begin with ^",
    ),
    (
        "WebHandlers",
        [HANDLER | STATIC_FILES | {"PathRegexp": "^("}],
        "WebHandlers[0].PathRegexp: bad regular expression",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebStatic": {"Root": "web", "StripPrefix": "x"}}],
        "WebHandlers[0].WebStatic.StripPrefix: must begin with a slash",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebStatic": {"Root": "web", "ResponseHeaders": {"A ": "b"}}}],
        "WebHandlers[0].WebStatic.ResponseHeaders.A : header name is empty",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebRedirect": {"BaseURL": "ftp://a.example"}}],
        "WebHandlers[0].WebRedirect.BaseURL: must be an address",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebRedirect": {"BaseURL": "https://a.example/x"}}],
        "WebHandlers[0].WebRedirect.BaseURL: must not have a path",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebRedirect": {"OrigPathRegexp": "^/x"}}],
        "WebHandlers[0].WebRedirect: OrigPathRegexp and ReplacePath are needed together",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebRedirect": {"OrigPathRegexp": "(", "ReplacePath": "/"}}],
        "WebHandlers[0].WebRedirect.OrigPathRegexp: bad regular expression",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebRedirect": {"StatusCode": "301"}}],
        "WebHandlers[0].WebRedirect: BaseURL, or OrigPathRegexp with ReplacePath, is needed",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebRedirect": {"BaseURL": "https://a.example", "StatusCode": "200"}}],
        "WebHandlers[0].WebRedirect.StatusCode: must be from 300 to 399",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebForward": {"URL": "//x"}}],
        "WebHandlers[0].WebForward.URL: must be an address",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebInternal": {"BasePath": "/x", "Service": "admin"}}],
        "WebHandlers[0].WebInternal.BasePath: must begin and end with a slash",
    ),
    (
        "WebHandlers",
        [HANDLER | {"WebInternal": {"BasePath": "/x/", "Service": "imap"}}],
        "WebHandlers[0].WebInternal.Service: unknown service 'imap'",
    ),
    # Block lists.
    ("MonitorDNSBLs", ["a..b"], "MonitorDNSBLs[0]: empty domain label"),
    ("MonitorDNSBLs", ["a.example", "A.example"], "MonitorDNSBLs[1]: duplicate zone"),
]


@pytest.mark.parametrize(("path", "value", "problem"), RULES)
def test_broken_rule_is_the_only_error(
    files: Files, path: str, value: sconf.Plain, problem: str
) -> None:
    files.dynamic.set(at(path), value)
    problems = files.problems()
    if not problem:
        assert problems == []
        return
    assert len(problems) == 1
    assert problems[0].startswith(
        problem.replace("…", "Accounts.mjl.Destinations.mjl@example.org.")
    )


VALID: list[tuple[str, sconf.Plain]] = [
    ("Routes", [{"Transport": "relay", "FromDomain": [".", ".a.example"], "ToDomain": ["b.c"]}]),
    (f"{DOMAIN}/MTASTS", MTASTS),
    (f"{DOMAIN}/DMARC", REPORT | {"Domain": "case.example"}),
    (f"{ACCOUNT}/FromIDLoginAddresses", ["mjl@example.org", "second@example.org"]),
    (f"{ACCOUNT}/Destinations/@example.org", sconf.NIL),
    (f'{ACCOUNT}/Destinations/"a b"@example.org', sconf.NIL),
    (DESTINATION, {"SMTPError": "421 later"}),
    (RULESET, [RULE | {"IsForward": "true", "VerifiedDomain": "a.b"}]),
    (RULESET, [RULE | {"HeadersRegexp": {r"^list-id$": r"<x\.example>\z"}}]),
    (f"{DOMAIN}/Aliases/team", {"Addresses": ["mjl@example.org", "Upper@case.example"]}),
    ("WebHandlers", [HANDLER | {"WebRedirect": {"OrigPathRegexp": "^/a", "ReplacePath": "/b"}}]),
]


@pytest.mark.parametrize(("path", "value"), VALID)
def test_valid_settings(files: Files, path: str, value: sconf.Plain) -> None:
    files.dynamic.set(at(path), value)
    assert files.problems() == []


def test_accounts_of_mox_conf_exist(files: Files) -> None:
    files.static.set(at("Postmaster/Account"), "none")
    report = {"Account": "none", "Mailbox": "a\u0301", "Localpart": "tls"}
    files.static.set(["HostTLSRPT"], report)
    assert files.problems() == [
        "Postmaster.Account: unknown account 'none'",
        "HostTLSRPT.Account: unknown account 'none'",
        "HostTLSRPT.Mailbox: mailbox name is not in Unicode normalisation form C",
    ]


def test_policy_needs_a_listener_that_serves_it(files: Files) -> None:
    files.dynamic.set(at(f"{DOMAIN}/MTASTS"), MTASTS)
    files.static.remove(at("Listeners/local/MTASTSHTTPS"))
    assert files.problems()[0].startswith("Domains.example.org.MTASTS: no listener has MTASTSHTTPS")


def test_web_needs_a_listener_that_serves_it(files: Files) -> None:
    files.dynamic.set(["WebHandlers"], [HANDLER | STATIC_FILES])
    files.static.remove(at("Listeners/local/WebserverHTTP"))
    assert files.problems() == ["WebHandlers: no listener has WebserverHTTP or WebserverHTTPS"]


def test_introbox_is_not_the_rejects_mailbox(files: Files) -> None:
    files.dynamic.set(at(f"{ACCOUNT}/Introbox"), "X")
    files.dynamic.set(at(f"{ACCOUNT}/RejectsMailbox"), "X")
    assert files.problems() == ["Accounts.mjl.Introbox: must not be the RejectsMailbox"]


def test_same_catchall_twice_is_refused(files: Files) -> None:
    files.dynamic.set(at("Accounts/mjl/Destinations/@example.org"), sconf.NIL)
    files.dynamic.set(at("Accounts/second/Destinations/@example.org"), sconf.NIL)
    assert "duplicate address @example.org: account mjl" in files.problems()[0]


def test_bare_localpart_gets_its_domain_with_a_warning(files: Files) -> None:
    files.dynamic.set(at("Accounts/mjl/Destinations/bare"), sconf.NIL)
    assert files.warnings() == [
        "Accounts.mjl.Destinations.bare: should be written as bare@example.org"
    ]
    assert "bare@example.org" in files.load().dynamic.accounts["mjl"].destinations


def test_bare_localpart_can_be_a_duplicate(files: Files) -> None:
    files.dynamic.set(at("Accounts/mjl/Destinations/mjl"), sconf.NIL)
    assert files.problems() == ["Accounts.mjl.Destinations.mjl: duplicate address mjl@example.org"]


def test_outdated_hash_and_odd_headers_are_warnings(files: Files) -> None:
    files.dynamic.set(at(SELECTOR), KEY | {"Hash": "sha1", "Headers": ["From", "Received"]})
    assert [warning.split(":")[0] for warning in files.warnings()] == [
        "Domains.example.org.DKIM.Selectors.a.Hash",
        "Domains.example.org.DKIM.Selectors.a.Headers[1]",
    ]


def test_syntax_errors_do_not_cause_further_errors(files: Files) -> None:
    files.write()
    text = files.domains_path.read_text()
    text = text.replace("\tmjl:\n", "\tmjl\n").replace("\texample.org:", "\texample.org")
    files.domains_path.write_text(text)
    files.write = lambda: None  # type: ignore[method-assign]
    problems = files.problems()
    assert len(problems) == 2
    assert all("expected a key and a colon" in problem for problem in problems)


# Keys.


def pem(key: PrivateKeyTypes, form: PrivateFormat = PrivateFormat.PKCS8) -> bytes:
    return key.private_bytes(Encoding.PEM, form, NoEncryption())


ED25519 = ed25519.Ed25519PrivateKey.generate()
RSA = rsa.generate_private_key(65537, 2048)
KEYS = [
    (pem(ED25519), "sha256", ""),
    (pem(RSA), "sha256", ""),
    (pem(RSA), "sha1", ""),
    (pem(ED25519), "sha1", "needs the hash sha256"),
    (pem(RSA, PrivateFormat.TraditionalOpenSSL), "sha256", "not a private key in PKCS8 form"),
    (pem(ec.generate_private_key(ec.SECP256R1())), "sha256", "neither RSA nor Ed25519"),
    (b"", "sha256", "not a private key"),
    (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "sha256", "not a private"),
]


@pytest.mark.parametrize(("content", "hash_name", "problem"), KEYS)
def test_dkim_keys(
    files: Files, tmp_path: Path, content: bytes, hash_name: str, problem: str
) -> None:
    (tmp_path / "key.pem").write_bytes(content)
    files.static.set(["User"], str(os.getuid()))
    files.dynamic.set(at(SELECTOR), KEY | {"Hash": hash_name})
    problems = files.problems(check_files=True)
    assert len(problems) == bool(problem)
    if problem:
        assert problems[0].startswith("Domains.example.org.DKIM.Selectors.a.PrivateKeyFile: ")
        assert problem in problems[0]


def test_short_rsa_keys_are_refused(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The library does not even make keys below the real limit.
    monkeypatch.setattr(keyfiles, "MIN_DKIM_RSA_BITS", 2049)
    (tmp_path / "key.pem").write_bytes(pem(RSA))
    files.static.set(["User"], str(os.getuid()))
    files.dynamic.set(at(SELECTOR), KEY)
    assert "RSA key has less than 2049 bits" in files.problems(check_files=True)[0]
