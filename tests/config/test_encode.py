"""Values written into a tree: read back the same, and nothing else in the file changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mox import sconf
from mox.config.account import Account, IncomingWebhook, SubjectPass
from mox.config.decode import decode
from mox.config.destination import Destination, Ruleset
from mox.config.domain import DKIM, Alias, Domain, Selector
from mox.config.dynamic import Dynamic
from mox.config.encode import encode, update
from mox.config.listener import Listener, ListenerSMTP
from mox.config.report import Report
from mox.config.schema import Kind, Type, Value, spec_of
from mox.config.static import Static
from mox.config.transport import Route, Transport, TransportDirect

ORIGINAL = """\
# head

# about domains
Domains:
	# about example.org
	example.org:
		# plus is usual
		LocalpartCatchallSeparator: +
	other.example: nil

# about accounts
Accounts:
	# first user
	mjl:
		# default
		Domain: example.org
		# explicit default
		MaxOutgoingMessagesPerDay: 1000
		Destinations:
			# main address
			mjl@example.org: nil
			# lists
			list@example.org:
				# rules
				Rulesets:
					# one
					-
						# sender
						SMTPMailFromRegexp: a
						Mailbox: A
					# two
					-
						SMTPMailFromRegexp: b
						Mailbox: B
		FromIDLoginAddresses:
			# login one
			- mjl@example.org
			# login two
			- x@example.org
	# second user
	second:
		Domain: example.org
# the end
"""


def read(text: str) -> tuple[sconf.Document, Dynamic]:
    report = Report(Path("domains.conf"), sconf.parse(text.encode()))
    dynamic = decode(Dynamic, report)
    assert report.errors == []
    return report.document, dynamic


def account(change: Callable[[Account], Account]) -> tuple[list[str], list[str]]:
    """Apply a change to the account mjl and return the lines removed and added."""
    document, old = read(ORIGINAL)
    new = replace(old, accounts={**old.accounts, "mjl": change(old.accounts["mjl"])})
    return difference(document, old, new)


def difference(document: sconf.Document, old: Dynamic, new: Dynamic) -> tuple[list[str], list[str]]:
    update(document, old, new)
    text = document.text()
    assert read(text)[1] == new
    before, after = ORIGINAL.splitlines(), text.splitlines()
    removed = [line.strip() for line in before if before.count(line) > after.count(line)]
    return removed, [line.strip() for line in after if after.count(line) > before.count(line)]


def test_nothing_changes_without_a_difference() -> None:
    document, dynamic = read(ORIGINAL)
    update(document, dynamic, replace(dynamic))
    assert document.text() == ORIGINAL


def test_scalar_is_added_in_place() -> None:
    assert account(lambda old: replace(old, full_name="M J L")) == ([], ["FullName: M J L"])


def test_scalar_is_changed_in_place() -> None:
    changed = account(lambda old: replace(old, max_outgoing_messages_per_day=5))
    assert changed == (["MaxOutgoingMessagesPerDay: 1000"], ["MaxOutgoingMessagesPerDay: 5"])


def test_new_field_stands_where_the_declaration_has_it() -> None:
    document, old = read(ORIGINAL)
    mjl = replace(old.accounts["mjl"], description="x")
    update(document, old, replace(old, accounts={**old.accounts, "mjl": mjl}))
    assert "\t\tDomain: example.org\n\t\tDescription: x\n" in document.text()


def test_list_item_is_removed_with_its_comment() -> None:
    changed = account(lambda old: replace(old, from_id_login_addresses=("x@example.org",)))
    assert changed == (["# login one", "- mjl@example.org"], [])


def test_list_is_removed_with_the_field() -> None:
    removed, added = account(lambda old: replace(old, from_id_login_addresses=()))
    assert added == []
    assert "FromIDLoginAddresses:" in removed


def rulesets(
    change: Callable[[tuple[Ruleset, ...]], tuple[Ruleset, ...]],
) -> Callable[[Account], Account]:
    def apply(old: Account) -> Account:
        destination = old.destinations["list@example.org"]
        new = replace(destination, rulesets=change(destination.rulesets))
        return replace(old, destinations={**old.destinations, "list@example.org": new})

    return apply


NEW_RULE = Ruleset(msg_from_regexp="n", mailbox="N")


def test_first_of_several_blocks_is_removed() -> None:
    removed, added = account(rulesets(lambda old: old[1:]))
    assert added == []
    assert removed == ["# one", "-", "# sender", "SMTPMailFromRegexp: a", "Mailbox: A"] or (
        "# one" in removed and "# two" not in removed
    )


def test_block_is_inserted_before_others() -> None:
    removed, added = account(rulesets(lambda old: (NEW_RULE, *old)))
    assert removed == []
    assert "MsgFromRegexp: n" in added


def test_block_is_changed_in_place() -> None:
    removed, added = account(rulesets(lambda old: (replace(old[0], mailbox="C"), old[1])))
    assert (removed, added) == (["Mailbox: A"], ["Mailbox: C"])


def test_entry_becomes_nil_and_back() -> None:
    def to_nil(old: Account) -> Account:
        return replace(old, destinations={**old.destinations, "list@example.org": Destination()})

    def from_nil(old: Account) -> Account:
        destination = Destination(mailbox="M")
        return replace(old, destinations={**old.destinations, "mjl@example.org": destination})

    assert account(to_nil)[1] == ["list@example.org: nil"]
    assert account(from_nil) == (
        ["mjl@example.org: nil"],
        ["mjl@example.org:", "Mailbox: M"],
    )


def test_account_is_added_and_removed() -> None:
    document, old = read(ORIGINAL)
    added = {**old.accounts, "third": Account(domain="example.org")}
    changed = difference(document, old, replace(old, accounts=added))
    assert changed == ([], ["Domain: example.org", "third:"]) or changed[0] == []
    document, old = read(ORIGINAL)
    left = {"mjl": old.accounts["mjl"]}
    removed, added_lines = difference(document, old, replace(old, accounts=left))
    assert added_lines == []
    assert "# second user" in removed
    assert "# the end" not in removed


def test_present_block_with_defaults_is_written_with_a_field() -> None:
    plain = encode(Transport(direct=TransportDirect()))
    assert plain == {"Direct": {"DisableIPv4": "false"}}


def test_explicit_zero_is_written() -> None:
    smtp = ListenerSMTP(enabled=True, first_time_sender_delay=timedelta())
    plain = encode(Listener(ips=("::1",), smtp=smtp))
    assert plain["SMTP"] == {"Enabled": "true", "FirstTimeSenderDelay": "0s"}


def test_required_field_is_written_with_its_zero() -> None:
    assert encode(Route(transport="")) == {"Transport": ""}
    assert encode(SubjectPass(period=timedelta())) == {"Period": "0s"}


def test_domain_with_everything() -> None:
    domain = Domain(
        dkim=DKIM(selectors={"a": Selector(private_key_file="k")}, sign=("a",)),
        aliases={"x": Alias(addresses=("mjl@example.org",), post_public=True)},
    )
    assert encode(domain) == {
        "DKIM": {"Selectors": {"a": {"PrivateKeyFile": "k"}}, "Sign": ["a"]},
        "Aliases": {"x": {"Addresses": ["mjl@example.org"], "PostPublic": "true"}},
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda old: replace(old, full_name="a\nb"),
        lambda old: replace(old, destinations={"a:b": Destination()}),
        lambda old: replace(old, destinations={"": Destination()}),
        lambda old: replace(old, incoming_webhook=IncomingWebhook(url="\ud800")),
    ],
)
def test_what_cannot_be_written_is_refused(change: Callable[[Account], Account]) -> None:
    with pytest.raises(sconf.SconfError):
        account(change)


def test_text_nil_in_a_map_is_refused() -> None:
    document, old = read(ORIGINAL)
    with pytest.raises(sconf.SconfError):
        update(document, old, replace(old, web_domain_redirects={"a": "nil"}))


# Any value of the types is written and read back.

_TEXTS = st.text(st.sampled_from("aZ -#:/é"), max_size=5)
_SCALARS: dict[Kind, st.SearchStrategy[Value]] = {
    Kind.BOOL: st.booleans(),
    Kind.INT: st.integers(-(2**63), 2**63 - 1),
    Kind.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
    Kind.TEXT: _TEXTS,
    Kind.DURATION: st.timedeltas(timedelta(days=-900), timedelta(days=900)),
}
_KEYS = st.text(st.sampled_from("ab@."), min_size=1, max_size=3)


def values(type_: Type) -> st.SearchStrategy[Value]:
    if type_.kind in _SCALARS:
        return _SCALARS[type_.kind]
    if type_.cls is not None:
        return structs(type_.cls)
    assert type_.element is not None
    items = values(type_.element)
    if type_.kind is Kind.LIST:
        return st.lists(items, min_size=1, max_size=2).map(tuple)
    return st.dictionaries(_KEYS, items, min_size=1, max_size=2)


@st.composite
def structs(draw: st.DrawFn, cls: type) -> Value:
    """Draw a block: required fields and few of the optional ones."""
    chosen = {}
    for field in spec_of(cls).fields:
        if field.required or draw(st.integers(0, 4)) == 0:
            value = draw(values(field.type))
            # Zero means the default, where it cannot be meant.
            means_default = field.type.is_scalar and not value and not field.required
            if not means_default or field.field.explicit_zero:
                chosen[field.attribute] = value
    return cls(**chosen)


@settings(max_examples=25, deadline=None)
@given(st.data(), st.sampled_from([Static, Dynamic]))
def test_any_value_is_read_back(data: st.DataObject, cls: type) -> None:
    value = data.draw(structs(cls))
    document = sconf.parse(b"")
    for key, plain in encode(value).items():
        document.set([key], plain)
    report = Report(Path("x"), sconf.parse(document.text().encode()))
    assert decode(cls, report) == value
    assert report.errors == []


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_change_is_read_back(data: st.DataObject) -> None:
    old, new = data.draw(structs(Dynamic)), data.draw(structs(Dynamic))
    document = sconf.parse(b"")
    for key, plain in encode(old).items():
        document.set([key], plain)
    update(document, old, new)
    report = Report(Path("x"), sconf.parse(document.text().encode()))
    decoded = decode(Dynamic, report)
    assert report.errors == []
    assert decoded == new


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_any_change_of_an_account_is_read_back(data: st.DataObject) -> None:
    document, old = read(ORIGINAL)
    mjl = data.draw(structs(Account))
    new = replace(old, accounts={**old.accounts, "mjl": mjl})
    update(document, old, new)
    assert read(document.text())[1] == new
    assert "# second user\n\tsecond:" in document.text()
