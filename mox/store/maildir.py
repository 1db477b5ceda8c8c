"""Maildir on disk: file names, flag letters, folder names (Maildir-layout.md is the contract).

A file name is `base` or `base:2,LETTERS`. The base never changes; letters are D F P R S T for
the system flags and a–z for the first 26 keywords of the mailbox. Folders follow Maildir++:
mailbox `Archive/2026` is the directory `.Archive.2026` in the account's Maildir.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import socket
import time
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from mox.store.errors import ErrorKind, StoreError
from mox.store.model import Flag

INBOX = "INBOX"
SUBDIRECTORIES = ("cur", "new", "tmp")
KEYWORD_FILE = "dovecot-keywords"  # the name that other Maildir software reads
MAX_LETTERS = 26
_MAX_NAME_OCTETS = 255  # of a directory entry

_FLAG_OF = {
    "D": int(Flag.DRAFT),
    "F": int(Flag.FLAGGED),
    "P": int(Flag.FORWARDED),
    "R": int(Flag.ANSWERED),
    "S": int(Flag.SEEN),
    "T": int(Flag.DELETED),
}
_SIZE = re.compile(r",S=(\d{1,19})(?:,|$)")

_host = socket.gethostname().replace("/", "\\057").replace(":", "\\072")[:64] or "localhost"
_counter = itertools.count()


def unique_name(now: float | None = None) -> str:
    """A file name that nothing else makes: time, microseconds, process, counter, host."""
    now = time.time() if now is None else now
    micros = int(now * 1_000_000) % 1_000_000
    return f"{int(now)}.M{micros}P{os.getpid()}Q{next(_counter)}.{_host}"


def base_name(stored_size: int, wire_size: int) -> str:
    """A new base: S= and W= are the octets with LF and with CRLF line ends (as Dovecot's)."""
    return f"{unique_name()},S={stored_size},W={wire_size}"


def split_name(name: str) -> tuple[str, str]:
    """Split a file name into base and letters."""
    base, _, info = name.partition(":")
    return base, info[2:] if info.startswith("2,") else ""


def stated_size(base: str) -> int | None:
    """The S= of a base, in octets of the file; None when it has none."""
    found = _SIZE.search(base)
    return int(found.group(1)) if found else None


@lru_cache(1024)
def letters(flags: int, keywords: int) -> str:
    """The letters for flags and keyword bits, in ASCII order."""
    text = "".join(letter for letter, flag in _FLAG_OF.items() if flags & flag)
    if keywords:
        text += "".join(chr(97 + i) for i in range(MAX_LETTERS) if keywords >> i & 1)
    return text


def parse_letters(text: str) -> tuple[int, int]:
    """Flags and keyword bits of the letters; unknown ones are ignored."""
    flags = keywords = 0
    for letter in text:
        if letter in _FLAG_OF:
            flags |= _FLAG_OF[letter]
        elif "a" <= letter <= "z":
            keywords |= 1 << (ord(letter) - 97)
    return flags, keywords


def cur_path(base: str, flags: int, keywords: int) -> str:
    """Path below the mailbox directory of a message with these flags."""
    return f"cur/{base}:2,{letters(flags, keywords)}"


# ---- mailbox names


def normal_name(name: str) -> str:
    """The stored form of a mailbox name: INBOX in capitals as first level.

    Raises StoreError BAD_NAME for what facts of the name grammar forbid: empty levels, `.` and
    `..`, a leading `#`, controls, text not in NFC, names too long for a directory.
    """
    first, slash, rest = name.partition("/")
    if first.upper() == INBOX:
        name = INBOX + slash + rest
    if problem := _name_problem(name):
        raise StoreError(ErrorKind.BAD_NAME, f"bad mailbox name: {problem}")
    return name


def _name_problem(name: str) -> str:
    if not name:
        return "empty"
    if any(level in ("", ".", "..") for level in name.split("/")):
        return 'empty level, "." or ".."'
    if name.startswith("#"):
        return "leading #"
    if any(ch <= "\x1f" or "\x7f" <= ch <= "\x9f" or ch in "\u2028\u2029" for ch in name):
        return "control character"
    if any("\ud800" <= ch <= "\udfff" for ch in name):
        return "not Unicode text"
    if not unicodedata.is_normalized("NFC", name):
        return "not in Unicode normal form C"
    if len(os.fsencode(directory_name(name))) > _MAX_NAME_OCTETS:
        return "too long"
    return ""


def directory_name(name: str) -> str:
    """Maildir++ directory of a mailbox below the Maildir; "" for INBOX.

    Levels are joined by dots; a dot or `=` within a level is written `=2E` or `=3D`.
    """
    if name == INBOX:
        return ""
    levels = (level.replace("=", "=3D").replace(".", "=2E") for level in name.split("/"))
    return "." + ".".join(levels)


def mailbox_of_directory(entry: str) -> str | None:
    """The mailbox name of a Maildir++ directory; None when it is not the directory of one."""
    if not entry.startswith(".") or len(entry) < 2:
        return None
    levels = entry[1:].split(".")
    name = "/".join(level.replace("=2E", ".").replace("=3D", "=") for level in levels)
    try:
        normal = normal_name(name)
    except StoreError:
        return None
    return normal if directory_name(normal) == entry else None


def list_mailboxes(root: str) -> tuple[set[str], bool]:
    """Names of the folders in a Maildir; false when one may just be being made."""
    names: set[str] = set()
    complete = True
    for entry in os.listdir(root):
        name = mailbox_of_directory(entry)
        if name is None:
            continue
        if all(os.path.isdir(f"{root}/{entry}/{sub}") for sub in ("cur", "new")):
            names.add(name)
        else:
            complete = False
    return names, complete


def parents(name: str) -> list[str]:
    """The names of all levels above, topmost first."""
    levels = name.split("/")
    return ["/".join(levels[:i]) for i in range(1, len(levels))]


# ---- directories


def make_mailbox_directory(path: str) -> None:
    """Make cur, new and tmp, durable. Nothing happens where they exist.

    Raises OSError, FileNotFoundError when someone renamed the directory meanwhile.
    """
    created = not os.path.isdir(path)
    with contextlib.suppress(FileExistsError):
        os.makedirs(path, mode=0o700)
    make_subdirectories(path)
    if created and os.path.basename(path).startswith("."):
        # The mark that Maildir++ delivery agents look for in folders.
        os.close(os.open(os.path.join(path, "maildirfolder"), os.O_CREAT | os.O_WRONLY, 0o600))
    for directory in (path, os.path.dirname(path)):
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def make_subdirectories(path: str) -> None:
    """Make those of cur, new and tmp that are missing; raises OSError where `path` is."""
    for sub in SUBDIRECTORIES:
        with contextlib.suppress(FileExistsError):
            os.mkdir(os.path.join(path, sub), mode=0o700)


def write_keyword_file(directory: str, keywords: Sequence[str]) -> None:
    """Write the keyword file: lines `number name`, number 0 is letter a. Atomic."""
    tmp = os.path.join(directory, "tmp", unique_name())
    with open(tmp, "w", encoding="utf-8") as f:
        f.writelines(f"{i} {word}\n" for i, word in enumerate(keywords[:MAX_LETTERS]))
        f.flush()
        os.fdatasync(f.fileno())
    os.rename(tmp, os.path.join(directory, KEYWORD_FILE))


def keep_keyword_file(directory: str, keywords: Sequence[str]) -> None:
    """See to it that the keyword file has these; it may have more."""
    wanted = dict(enumerate(keywords[:MAX_LETTERS]))
    if not wanted.items() <= read_keyword_file(directory).items():
        write_keyword_file(directory, keywords)


def read_keyword_file(directory: str) -> dict[int, str]:
    """The keyword file as {bit: keyword}; lines that do not fit are ignored."""
    try:
        with open(os.path.join(directory, KEYWORD_FILE), "rb") as f:
            data = f.read(65536)
    except FileNotFoundError:
        return {}
    result: dict[int, str] = {}
    for line in data.decode("utf-8", "replace").splitlines():
        number, _, word = line.partition(" ")
        if number.isdecimal() and int(number) < MAX_LETTERS and is_keyword(word):
            result[int(number)] = word
    return result


_KEYWORD = re.compile(r"[!#$&\'+-\[^-z|}~]{1,255}")


def is_keyword(word: str) -> bool:
    """RFC 9051 §9: flag-keyword is an atom: no `( ) { % * " \\ ]`, space or control."""
    return _KEYWORD.fullmatch(word) is not None
