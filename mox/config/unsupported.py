"""The fields that can be configured, although the server does not have their feature yet.

Remove a line here together with adding the feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mox.config.dynamic import Dynamic
from mox.config.report import FieldPath, format_path
from mox.config.schema import FieldSpec, Value, spec_of
from mox.config.static import Static

# Paths of fields; `*` stands for every entry of a map or item of a list.
_STATIC = (
    "CheckUpdates",
    "ACME",
    "AdminPasswordFile",
    "Listeners.*.IPsNATed",
    "Listeners.*.TLS.ACME",
    "Listeners.*.TLS.HostPrivateKeyFiles",
    "Listeners.*.Submissions.EnabledOnHTTPS",
    "Listeners.*.IMAPS.EnabledOnHTTPS",
    "Listeners.*.AccountHTTP",
    "Listeners.*.AccountHTTPS",
    "Listeners.*.AdminHTTP",
    "Listeners.*.AdminHTTPS",
    "Listeners.*.WebmailHTTP",
    "Listeners.*.WebmailHTTPS",
    "Listeners.*.PprofHTTP",
    "Listeners.*.AutoconfigHTTPS",
    "Listeners.*.MTASTSHTTPS",
    "Listeners.*.WebserverHTTP",
    "Listeners.*.WebserverHTTPS",
    "HostTLSRPT",
    "OutgoingTLSReportsForAllSuccess",
)
_DYNAMIC = (
    "Domains.*.ClientSettingsDomain",
    "Domains.*.DMARC",
    "Domains.*.MTASTS",
    "Domains.*.TLSRPT",
    "Domains.*.Aliases.*.ListMembers",
    "Accounts.*.Destinations.*.FullName",
    "Accounts.*.NoCustomPassword",
    "WebDomainRedirects",
    "WebHandlers",
)


def find_unsupported(static: Static, dynamic: Dynamic) -> list[str]:
    """Return one line for each feature that is configured and does not exist yet."""
    lines = []
    for value, paths in ((static, _STATIC), (dynamic, _DYNAMIC)):
        for path in paths:
            places = list(_set_places(value, path.split("."), ()))
            if places:
                lines.append(_line(places))
    return lines


def _line(places: list[FieldPath]) -> str:
    more = f" (and in {len(places) - 1} more places)" if len(places) > 1 else ""
    return f"{format_path(places[0])} is configured, not supported yet{more}"


def _set_places(value: Value, parts: list[str], path: FieldPath) -> Iterator[FieldPath]:
    """Yield where a field is set to something else than its default."""
    part, rest = parts[0], parts[1:]
    if part == "*":
        assert isinstance(value, Mapping)
        for key, entry in value.items():
            yield from _set_places(entry, rest, (*path, key))
        return
    field = spec_of(type(value)).by_name[part]
    child = getattr(value, field.attribute)
    if not _is_set(child, field):
        return
    if rest:
        yield from _set_places(child, rest, (*path, part))
    else:
        yield (*path, part)


def _is_set(value: Value, field: FieldSpec) -> bool:
    if value is None or value == field.default:
        return False
    # A service with settings that is turned off asks for nothing.
    return getattr(value, "enabled", True) is not False
