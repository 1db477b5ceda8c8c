"""Requests as JSON: what is decoded, and what the errors say."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.webapi.decoding import MAX_CONTAINERS, MAX_LENIENT, RequestError, decode_request
from mox.webapi.methods import METHODS
from mox.webapi.types import (
    File,
    MessageFlagsAddRequest,
    MessageGetRequest,
    MessagePartGetRequest,
    NameAddress,
    SendRequest,
    SuppressionAddRequest,
)

SENDING = SendRequest(
    to=(NameAddress("Rcpt", "r@remote.example"),), subject="héllo", text="hi", save_sent=True
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            '{"To":[{"Name":"Rcpt","Address":"r@remote.example"}],"Subject":"h\\u00e9llo",'
            '"Text":"hi","SaveSent":true}',
            SENDING,
        ),
        (
            '{"to":[{"NAME":"Rcpt","address":"r@remote.example"}],"subject":"héllo","TEXT":"hi",'
            '"savesent":true}',
            SENDING,
        ),
        ("null", SendRequest()),
        (" \n null", SendRequest()),
        ("{}", SendRequest()),
        ('{"Text":"x"} trailing', SendRequest(text="x")),
        ('{"Text":"x"}{"Text":"y"}', SendRequest(text="x")),
        ('{"Text":"x","Text":"y"}', SendRequest(text="y")),
        ('{"text":"x","Text":"y"}', SendRequest(text="y")),
        ('{"Text":"x","text":null}', SendRequest()),
        ('{"From":null,"Text":null,"SaveSent":null,"Extra":null}', SendRequest()),
        ('{"To":[null]}', SendRequest(to=(NameAddress(),))),
        ('{"To":[{"Name":null,"Address":"a@b"}]}', SendRequest(to=(NameAddress("", "a@b"),))),
        ('{"RequireTLS":null,"Date":null}', SendRequest()),
        ('{"RequireTLS":false,"x":1}'.replace(',"x":1', ""), SendRequest(require_tls=False)),
        ('{"Headers":[["X-A"],["X-B","b","c"],null,[]]}',
         SendRequest(headers=(("X-A", ""), ("X-B", "b"), ("", ""), ("", "")))),
        ('{"Extra":{"Order":"42","nil":null}}', SendRequest(extra={"Order": "42", "nil": ""})),
        ('{"References":["<a@b>",null]}', SendRequest(references=("<a@b>", ""))),
        ('{"inlinefiles":[{"data":"eA==","contentid":"<a>"}]}',
         SendRequest(inline_files=(File(data="eA==", content_id="<a>"),))),
        ('{"Subject":"a\\ud800b"}', SendRequest(subject="a\ufffdb")),
        ('{"subject":"\\ud83d\\ude00"}', SendRequest(subject="\U0001f600")),
    ],
)  # fmt: skip
def test_a_request_is_read_as_the_reference_reads_it(raw: str, expected: SendRequest) -> None:
    assert decode_request(raw.encode(), SendRequest) == expected


def test_octets_that_are_no_utf8_are_replaced() -> None:
    assert decode_request(b'{"Subject":"\xff"}', SendRequest).subject == "\ufffd"


def test_null_numbers_and_lists_are_zero_values() -> None:
    raw = b'{"msgid":null,"PartPath":[null,1]}'
    assert decode_request(raw, MessagePartGetRequest) == MessagePartGetRequest(part_path=(0, 1))
    raw = b'{"MsgID":3,"Flags":null}'
    assert decode_request(raw, MessageFlagsAddRequest) == MessageFlagsAddRequest(msg_id=3)


def test_times_keep_their_zone() -> None:
    raw = b'{"Date":"2024-05-06T07:08:09.25+02:00","FutureRelease":"2024-05-06T07:08:09Z"}'
    request = decode_request(raw, SendRequest)
    assert request.date is not None
    assert request.date.isoformat() == "2024-05-06T07:08:09.250000+02:00"
    assert request.future_release == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("", "no JSON value"),
        ("  ", "no JSON value"),
        ("{", "Expecting property name enclosed in double quotes in line 1, column 2"),
        ('{"Text":"x', "Unterminated string starting at in line 1, column 9"),
        ('{"Foo":1}', 'unknown field "Foo" - at `$`'),
        ('{"foo":null}', 'unknown field "foo" - at `$`'),
        ('{"To":[{},{"Foo":1}]}', 'unknown field "Foo" - at `$.To[1]`'),
        ('{"attachedfiles":[{"Type":""}]}', 'unknown field "Type" - at `$.AttachedFiles[0]`'),
        ('{"Text":1}', "Expected `str`, got `int` - at `$.Text`"),
        ('{"text":1}', "Expected `str`, got `int` - at `$.Text`"),
        ('{"To":"x@y"}', "Expected `array`, got `str` - at `$.To`"),
        ('{"To":{"Name":"x"}}', "Expected `array`, got `object` - at `$.To`"),
        ('{"Extra":{"a":1}}', "Expected `str`, got `int` - at `$.Extra[...]`"),
        ('{"SaveSent":"yes"}', "Expected `bool`, got `str` - at `$.SaveSent`"),
        ('{"Date":"yesterday"}', "Invalid RFC3339 encoded datetime - at `$.Date`"),
        (
            '{"Date":"2024-05-06T07:08:09"}',
            "Expected `datetime` with a timezone component - at `$.Date`",
        ),
        ("[]", "Expected `object`, got `array`"),
        ('"x"', "Expected `object`, got `str`"),
        ("[" * 100_000, "nested too deeply"),
        ('{"Text":NaN}', "NaN is not JSON"),
    ],
)
def test_an_error_says_where(raw: str, message: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_request(raw.encode(), SendRequest)
    assert str(caught.value) == message


@pytest.mark.parametrize("number", ["9.0", '"9"', "true", "1e2", "9223372036854775808", "9" * 5000])
def test_numbers_must_be_integers_of_64_bits(number: str) -> None:
    with pytest.raises(RequestError):
        decode_request(f'{{"MsgID":{number}}}'.encode(), MessageGetRequest)


def test_a_request_of_nothing_but_objects_is_refused() -> None:
    raw = b'{"To":[' + b",".join([b"{}"] * (MAX_CONTAINERS + 1)) + b"]}"
    with pytest.raises(RequestError, match="too many"):
        decode_request(raw, SendRequest)


def test_leniency_has_its_limit() -> None:
    """It takes time: an exact request of this size is decoded at once."""
    many = ",".join(['"<a@b>"'] * (MAX_LENIENT + 1))
    assert len(decode_request(f'{{"References":[{many}]}}'.encode(), SendRequest).references) > 1
    with pytest.raises(RequestError, match="unknown field `references`"):
        decode_request(f'{{"references":[{many}]}}'.encode(), SendRequest)
    with pytest.raises(RequestError, match=r"Expected `str`, got `int` - at `\$.Subject`"):
        decode_request(f'{{"References":[{many}],"Subject":1}}'.encode(), SendRequest)
    nested = '{"extra":{"a":"b"},"headers":[' + ",".join(['["a","b"]'] * (MAX_LENIENT // 3)) + "]}"
    with pytest.raises(RequestError, match="unknown field `extra`"):
        decode_request(nested.encode(), SendRequest)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["To", "to", "Text", "Headers", "Extra", "MsgID", "Date", "Name", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(sorted(METHODS)))
def test_any_json_is_a_request_or_an_error(value: object, method: str) -> None:
    type_ = METHODS[method].request
    try:
        assert isinstance(decode_request(json.dumps(value).encode(), type_), type_)
    except RequestError as e:
        assert str(e)


@given(st.binary(max_size=60))
def test_any_octets_are_a_request_or_an_error(raw: bytes) -> None:
    try:
        decode_request(raw, SendRequest)
    except RequestError as e:
        assert str(e)


_NAMES = st.builds(NameAddress, st.text(max_size=6), st.text(max_size=6))


@given(
    st.builds(
        SendRequest,
        to=st.lists(_NAMES, max_size=3).map(tuple),
        subject=st.text(),
        headers=st.lists(st.tuples(st.text(), st.text()), max_size=3).map(tuple),
        extra=st.dictionaries(st.text(), st.text(), max_size=3),
        require_tls=st.none() | st.booleans(),
        save_sent=st.booleans(),
    )
)
def test_what_is_encoded_decodes_to_the_same_in_both_ways(request_: SendRequest) -> None:
    raw = msgspec.json.encode(request_)
    assert decode_request(raw, SendRequest) == request_
    assert decode_request(raw + b" rest", SendRequest) == request_


def test_the_errors_of_an_address_keep_its_path_in_both_ways() -> None:
    with pytest.raises(RequestError, match=r"at `\$\.EmailAddress`"):
        decode_request(b'{"emailaddress":[]}', SuppressionAddRequest)
