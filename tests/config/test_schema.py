"""The declarations themselves: names, documentation, agreement with the format."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator

from mox.config.dynamic import Dynamic
from mox.config.scalars import parse_scalar
from mox.config.schema import FieldSpec, Kind, spec_of
from mox.config.static import Static

# Words that are one word in attribute names, longest first.
ACRONYMS = (
    "MTASTS|STARTTLS|TLSRPT|DNSBLs|HTTPS|IMAPS|DMARC|HTTP|SMTP|IMAP|SASL|DKIM|ACME|IPv4|IPv6|"
    "WebAPI|NATed|IPs|TLS|NAT|API|URL|CA|ID|MX"
)


def attribute_of(name: str) -> str:
    """Derive the attribute from the reference's name, as the other packages do in their heads."""
    words = re.findall(rf"{ACRONYMS}|[A-Z][a-z]*|[a-z]+", name)
    assert "".join(words) == name, name
    return "_".join(words).lower()


def all_fields(cls: type) -> Iterator[tuple[type, FieldSpec]]:
    for field in spec_of(cls).fields:
        yield cls, field
        type_ = field.type
        while type_.element is not None:
            type_ = type_.element
        if type_.cls is not None:
            yield from all_fields(type_.cls)


FIELDS = [*all_fields(Static), *all_fields(Dynamic)]


def test_attributes_follow_the_names() -> None:
    for _, field in FIELDS:
        assert field.attribute == attribute_of(field.field.name)


def test_every_attribute_is_declared() -> None:
    for cls, _ in FIELDS:
        assert len(dataclasses.fields(cls)) == len(spec_of(cls).fields)


def test_every_field_is_documented_in_a_sentence() -> None:
    for cls, field in FIELDS:
        assert field.field.text.endswith("."), (cls, field.field.name)


def test_examples_are_values_of_the_type() -> None:
    for _, field in FIELDS:
        type_ = field.type
        while type_.element is not None:
            type_ = type_.element
        if field.field.example and type_.is_scalar:
            parse_scalar(type_.kind, field.field.example)


def test_own_fields_are_few() -> None:
    ours = {field.field.name for _, field in FIELDS if field.field.ours}
    assert ours == {"ProxyProtocol", "SASLChannelBinding"}


def test_optional_blocks_with_required_fields_have_a_default() -> None:
    for _, field in FIELDS:
        if not field.required and field.type.kind is Kind.STRUCT and field.default is not None:
            assert isinstance(field.default, field.type.cls or type(None))
