"""Regular expressions of the configuration: RE2 syntax, as the reference has it.

They are applied to what strangers send, so matching takes time linear in the text, whatever the
pattern: RE2 has neither look-around nor back-references.

>>> matches("^lists[.]", "lists.example.org")
True
"""

from __future__ import annotations

from functools import lru_cache

import re2


def matches(pattern: str, text: str) -> bool:
    """Whether `pattern` matches anywhere in `text`. Raises ValueError for a bad pattern."""
    return _compiled(pattern).search(text) is not None


def check(pattern: str) -> None:
    """Raise ValueError, with what is wrong, for a bad pattern."""
    _compiled(pattern)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re2._Regexp:
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except (re2.error, UnicodeError) as e:
        reason = e.args[0].decode() if isinstance(e.args[0], bytes) else str(e)
        raise ValueError(f"bad regular expression: {reason}") from e
