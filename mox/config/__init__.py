"""The configuration: fields of mox.conf and domains.conf, checks, lookups, reload, changes.

`load` reads both files and raises `ConfigErrors` with everything that is wrong; `ConfigFile`
follows the changes of domains.conf in a running server and makes them. Fields are attributes in
lower case: `config.static.listeners["public"].smtp.no_starttls` is `SMTP.NoSTARTTLS` there.

What a field means is declared once, next to its type: see `mox.config.schema`.
"""

from __future__ import annotations

from mox.config.errors import ConfigError, ConfigErrors
from mox.config.file import ConfigFile
from mox.config.load import Config, load, outgoing_addresses, read_data_dir

__all__ = [
    "Config",
    "ConfigError",
    "ConfigErrors",
    "ConfigFile",
    "load",
    "outgoing_addresses",
    "read_data_dir",
]
