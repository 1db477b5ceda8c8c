"""Stubs for the parts of pyspf that mox uses."""

from collections.abc import Iterable

MAX_LOOKUP: int
MAX_MX: int
MAX_PTR: int
MAX_VOID_LOOKUPS: int

class TempError(Exception):
    msg: str

class PermError(Exception):
    msg: str

class query:
    s: str
    l: str
    o: str
    d: str
    h: str
    i: str
    p: str | None
    t: str
    A: str
    cidrmax: int
    lookups: int
    void_lookups: int
    perm_error: PermError | None
    mechanism: str | None
    def __init__(
        self,
        i: str,
        s: str,
        h: str,
        local: str | None = None,
        receiver: str | None = None,
        strict: bool = True,
    ) -> None: ...
    def check0(self, spf: str | None, recursion: int, /) -> tuple[str, int, str]: ...
    def check1(self, spf: str | None, domain: str, recursion: int) -> tuple[str, int, str]: ...
    def check_lookups(self) -> None: ...
    def expand(self, s: str, stripdot: bool = True) -> str: ...
    def cidrmatch(self, ipaddrs: Iterable[str], n: int) -> bool: ...
    def getp(self) -> str | None: ...
    def dns_ptr(self, i: str) -> list[str]: ...
    def dns_a(self, domainname: str, A: str = "A") -> list[str]: ...
