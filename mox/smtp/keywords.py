"""The keyword lines of the EHLO reply (RFC 5321 §4.1.1.1), in the order they are sent."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mox.smtp.config import ServerConfig


def ehlo_lines(config: ServerConfig, *, has_tls: bool, now: datetime | None) -> tuple[str, ...]:
    """Return the host name and the extensions that can be used now."""
    lines = [config.hostname, "PIPELINING", f"SIZE {config.max_size}"]
    # RFC 3207 §4.2: not after TLS has started. RFC 8689 §3: only after.
    if config.starttls and not has_tls:
        lines.append("STARTTLS")
    if config.requiretls and has_tls:
        lines.append("REQUIRETLS")
    if config.auth:
        lines.append("AUTH " + " ".join(config.auth))
    if config.future_release_s and now is not None:
        lines.append(_future_release(config.future_release_s, now))
    if config.dsn:
        lines.append("DSN")
    lines += ["ENHANCEDSTATUSCODES", "8BITMIME"]
    if config.chunking:
        lines.append("CHUNKING")
    lines.append(f"LIMITS RCPTMAX={config.limits.recipients}")
    if config.smtputf8:
        lines.append("SMTPUTF8")
    return tuple(lines)


def _future_release(longest_s: int, now: datetime) -> str:
    # RFC 4865 §4: greatest interval in seconds, latest date-time
    latest = (now + timedelta(seconds=longest_s)).astimezone(UTC)
    return f"FUTURERELEASE {longest_s} {latest:%Y-%m-%dT%H:%M:%SZ}"
