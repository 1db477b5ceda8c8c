"""Organizational domains: the vectors of the list's own syntax, and names in other scripts."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mox.address import Domain, parse_domain
from mox.mailauth.suffixes import is_public_suffix, organizational_domain, parent


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.b.example.com", "example.com"),
        ("EXAMPLE.com", "example.com"),
        ("com", "com"),
        ("a.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("uk", "uk"),
        # A wildcard takes one label, an exception gives it back.
        ("a.b.ck", "a.b.ck"),
        ("z.a.b.ck", "a.b.ck"),
        ("b.ck", "b.ck"),
        ("a.www.ck", "www.ck"),
        ("www.ck", "www.ck"),
        ("a.city.kobe.jp", "city.kobe.jp"),
        ("foo.bar.kobe.jp", "foo.bar.kobe.jp"),
        ("x.foo.bar.kobe.jp", "foo.bar.kobe.jp"),
        # Not in the list: two labels.
        ("a.b.unknowntld", "b.unknowntld"),
        ("b.unknowntld", "b.unknowntld"),
        ("localhost", "localhost"),
        # The private section does not count.
        ("a.user.github.io", "github.io"),
        ("x.blogspot.com", "blogspot.com"),
        # Both forms of a name in another script.
        ("a.b.食狮.公司.cn", "食狮.公司.cn"),
        ("a.xn--85x722f.xn--55qx5d.cn", "食狮.公司.cn"),
        ("www.Bücher.example.com", "example.com"),
        ("x.y.bücher.de", "bücher.de"),
        ("_dmarc.example.org", "example.org"),
    ],
)
def test_organizational_domain_is_the_suffix_and_a_label(name: str, expected: str) -> None:
    assert organizational_domain(parse_domain(name)) == parse_domain(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("com", True),
        ("co.uk", True),
        ("example.co.uk", False),
        ("anything.ck", True),
        ("www.ck", False),
        ("公司.cn", True),
        ("unknowntld", True),
        ("github.io", False),
    ],
)
def test_public_suffix_is_what_others_register_below(name: str, expected: bool) -> None:
    assert is_public_suffix(parse_domain(name)) is expected


@given(st.lists(st.sampled_from(["a", "co", "uk", "com", "jp", "kobe", "city", "ck"]), min_size=1))
def test_organizational_domain_ends_the_name_and_stays_itself(labels: list[str]) -> None:
    domain = parse_domain(".".join(labels[:20]))
    organizational = organizational_domain(domain)
    assert f".{domain.ascii}".endswith(f".{organizational.ascii}")
    assert organizational_domain(organizational) == organizational
    assert organizational == domain or not is_public_suffix(organizational)


def test_parent_cuts_both_forms() -> None:
    domain = parse_domain("a.bücher.example")
    assert parent(domain, 2) == Domain("xn--bcher-kva.example", "bücher.example")
    assert parent(domain, 9) == domain


def test_list_is_not_read_by_the_import() -> None:
    code = (
        "import mox.mailauth.suffixes as s; before = s._list.cache_info().currsize; s.preload();"
        "print(before, s._list.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", "1"]
