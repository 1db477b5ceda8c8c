"""From the configuration files to the settings of a generation."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

from mox import logfmt
from mox.config import Config, ConfigErrors, ConfigFile
from mox.serving.certificates import Certificates
from mox.serving.context import ConfigSource
from mox.supervisor.errors import StartError
from mox.supervisor.settings import Settings, endpoints_of, identity_of
from mox.tlsio.errors import TLSConfigError

log = logfmt.logger("serve")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says; it overrides the files."""

    config: Path
    loglevel: str | None = None
    pedantic: bool = False
    localserve: bool = False


class _Pedantic:
    """A configuration with Pedantic set, whatever the file says."""

    def __init__(self, source: ConfigSource) -> None:
        self._source = source
        self._seen: Config | None = None
        self._made: Config | None = None

    @property
    def current(self) -> Config:
        config = self._source.current
        if self._made is None or config is not self._seen:
            self._seen = config
            self._made = replace(config, static=replace(config.static, pedantic=True))
        return self._made


def load(options: Options) -> Settings:
    """Read and check everything that a start needs. Raises MoxError with all that is wrong."""
    source: ConfigSource = ConfigFile(options.config, on_error=_not_taken)
    if options.pedantic:
        source = _Pedantic(source)
    config = source.current
    for warning in config.warnings:
        log.warn("configuration", err=str(warning))
    for feature in config.unsupported:
        log.warn("configured, but this version does not have it", feature=feature)
    try:
        certificates = Certificates.load(config)
    except TLSConfigError as exc:
        raise StartError(f"certificates: {exc}") from exc
    return Settings(
        data_dir=config.data_dir.resolve(),
        config_source=source,
        endpoints=endpoints_of(config),
        identity=identity_of(config.static.user),
        workers=len(os.sched_getaffinity(0)),
        log_level=options.loglevel or config.static.log_level,
        package_log_levels=config.static.package_log_levels,
        certificates=certificates,
        localserve=options.localserve,
        fix_permissions=not config.static.no_fix_permissions,
    )


def _not_taken(errors: ConfigErrors) -> None:
    for error in errors.errors:
        log.error("changed domains.conf not taken, the old one stays in force", err=error)
