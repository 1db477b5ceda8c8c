"""User names and passwords in their one spelling (RFC 8265, Unicode NFC)."""

from __future__ import annotations

import re
import unicodedata

from precis_i18n import get_profile

from mox.errors import UserError

_PLAIN = re.compile(r"[ -~]+")
_PROFILE = get_profile("OpaqueString")
# Longer ones are no passwords; preparing and hashing costs time.
MAX_PASSWORD_OCTETS = 1024


class PasswordError(UserError):
    """A password that cannot be used; the text may be shown."""


def prepare_password(password: str) -> str:
    """Apply the OpaqueString profile (RFC 8265 §4.2). Raises PasswordError."""
    if len(password.encode("utf-8", "surrogatepass")) > MAX_PASSWORD_OCTETS:
        raise PasswordError("password is too long")
    if _PLAIN.fullmatch(password):
        return password  # the profile changes nothing in printable ASCII
    try:
        prepared: str = _PROFILE.enforce(password)
    except UnicodeError as err:
        raise PasswordError("password has characters that are not allowed, or is empty") from err
    return prepared


def prepare_username(username: str) -> str:
    """Normalise a login name for lookups."""
    return username if username.isascii() else unicodedata.normalize("NFC", username)
