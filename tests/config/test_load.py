from __future__ import annotations

import time
from ipaddress import ip_address
from pathlib import Path

import pytest

from mox.config import Config, ConfigErrors, load, outgoing_addresses, read_data_dir
from tests.config.texts import DYNAMIC, Files, at


def test_paths(files: Files, tmp_path: Path) -> None:
    config = files.load()
    assert config.dir == tmp_path
    assert config.data_dir == tmp_path / "../data"
    assert config.domains_path == tmp_path / "domains.conf"


def test_absolute_data_dir_stays(files: Files) -> None:
    files.static.set(["DataDir"], "/srv/mox")
    assert files.load().data_dir == Path("/srv/mox")


def test_values_that_depend_on_others(files: Files) -> None:
    for method in ("Submissions", "Submission"):
        files.static.set(at(f"Transports/{method}/{method}"), {"Host": "a.example"})
    files.static.set(at("Transports/other/SMTP"), {"Host": "a.example", "Port": "26"})
    static = files.load().static
    listener = static.listeners["local"]
    assert listener.hostname == "mail.example.org"
    assert listener.account_http.path == "/"
    assert listener.webapi_https.path == "/webapi/"
    relay = static.transports["relay"].smtp
    submissions = static.transports["Submissions"].submissions
    submission = static.transports["Submission"].submission
    other = static.transports["other"].smtp
    assert relay and submissions and submission and other
    assert [relay.port, submissions.port, submission.port, other.port] == [25, 465, 587, 26]


def test_errors_are_in_file_order_with_place(files: Files, tmp_path: Path) -> None:
    files.static.set(["LogLevel"], "x")
    files.static.set(at("Postmaster/Account"), "none")
    files.dynamic.set(at("Accounts/mjl/Domain"), "a..b")
    with pytest.raises(ConfigErrors) as caught:
        files.load()
    assert str(caught.value).splitlines() == [
        f"{tmp_path}/mox.conf:2: LogLevel: unknown log level 'x': one of error, warn, info, debug, "
        "trace, traceauth, tracedata, fatal, print",
        f"{tmp_path}/mox.conf:18: Postmaster.Account: unknown account 'none'",
        f"{tmp_path}/domains.conf:9: Accounts.mjl.Domain: empty domain label",
    ]


@pytest.mark.parametrize("name", ["mox.conf", "domains.conf"])
def test_missing_file_is_an_error(files: Files, tmp_path: Path, name: str) -> None:
    files.write()
    (tmp_path / name).unlink()
    with pytest.raises(ConfigErrors, match=f"{name}: No such file"):
        load(files.path)


def test_directory_in_place_of_a_file_is_an_error(files: Files, tmp_path: Path) -> None:
    files.write()
    files.path.unlink()
    files.path.mkdir()
    with pytest.raises(ConfigErrors, match="directory"):
        load(files.path)


def test_data_dir_can_be_had_from_a_broken_configuration(files: Files, tmp_path: Path) -> None:
    files.static.set(["LogLevel"], "x")
    files.static.remove(["Postmaster"])
    files.write()
    files.domains_path.unlink()
    assert read_data_dir(files.path) == tmp_path / "../data"
    files.path.write_text("LogLevel: info\n")
    with pytest.raises(ConfigErrors, match="DataDir: required"):
        read_data_dir(files.path)


def test_no_text_makes_the_loader_raise_something_else(files: Files) -> None:
    files.write()
    lines = DYNAMIC.splitlines()
    for index in range(len(lines)):
        for text in ("", "\t", "-", "\t\t\tx: y", "nil", lines[index] + " x", lines[index][1:]):
            changed = [*lines[:index], text, *lines[index + 1 :]]
            files.domains_path.write_text("\n".join(changed))
            try:
                load(files.path, check_files=False)
            except ConfigErrors as errors:
                assert errors.errors


@pytest.mark.parametrize(
    ("ips", "expected"),
    [
        (["192.0.2.1", "2001:db8::1"], ("192.0.2.1", "2001:db8::1")),
        (["192.0.2.1", "192.0.2.2"], (None, None)),
        (["0.0.0.0", "::"], (None, None)),
        (["192.0.2.1", "::"], ("192.0.2.1", None)),
    ],
)
def test_outgoing_addresses(
    files: Files, ips: list[str], expected: tuple[str | None, str | None]
) -> None:
    files.static.set(at("Listeners/local/IPs"), ips)
    addresses = tuple(ip_address(ip) if ip else None for ip in expected)
    assert outgoing_addresses(files.load().static) == addresses


def mailboxes(config: Config) -> tuple[tuple[str, ...], dict[str, str]]:
    static = config.static
    return static.new_account_mailboxes, dict(static.special_use_mailboxes)


def test_mailboxes_of_a_new_account(files: Files) -> None:
    names, roles = mailboxes(files.load())
    assert names == ("Inbox", "Sent", "Archive", "Trash", "Drafts", "Junk")
    assert roles == {
        "\\Sent": "Sent",
        "\\Archive": "Archive",
        "\\Trash": "Trash",
        "\\Drafts": "Drafts",
        "\\Junk": "Junk",
    }


def test_configured_mailboxes_of_a_new_account(files: Files) -> None:
    files.static.set(at("InitialMailboxes/SpecialUse"), {"Sent": "Out", "Junk": "Spam"})
    files.static.set(at("InitialMailboxes/Regular"), ["Lists"])
    names, roles = mailboxes(files.load())
    assert names == ("Inbox", "Out", "Spam", "Lists")
    assert roles == {"\\Sent": "Out", "\\Junk": "Spam"}


def test_old_form_of_the_mailboxes_of_a_new_account(files: Files) -> None:
    files.static.set(["DefaultMailboxes"], ["Inbox", "sent messages", "Lists", "Drafts"])
    names, roles = mailboxes(files.load())
    assert names == ("Inbox", "sent messages", "Lists", "Drafts")
    assert roles == {"\\Sent": "sent messages", "\\Drafts": "Drafts"}


def test_thousands_of_accounts_load_quickly(files: Files) -> None:
    account = DYNAMIC[DYNAMIC.index("\tsecond:") :]
    text = "".join(account.replace("second", f"user{number}") for number in range(5000))
    files.write()
    files.domains_path.write_text(DYNAMIC + text)
    start = time.process_time()
    config = load(files.path, check_files=False)
    assert time.process_time() - start < 2
    assert config.lookup.login("user4999@example.org") == "user4999"


def test_thousands_of_errors_are_found_quickly(files: Files) -> None:
    account = DYNAMIC[DYNAMIC.index("\tsecond:") :].replace("@example.org", "@other.example")
    text = "".join(account.replace("second", f"user{number}") for number in range(5000))
    files.write()
    files.domains_path.write_text(DYNAMIC + text)
    start = time.process_time()
    with pytest.raises(ConfigErrors) as caught:
        load(files.path, check_files=False)
    assert time.process_time() - start < 5
    assert caught.value.errors[-1].message == "more errors are not shown"
