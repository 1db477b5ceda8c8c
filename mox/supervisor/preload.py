"""Import everything before the fork: pages are shared, and files are readable.

A worker that gave up root may not be able to read the interpreter's own directory, so an import
at the moment of need would fail there, at the worst of times. Listed here is what libraries
import late; of mox itself everything but the command line is loaded.
"""

from __future__ import annotations

import gc
import importlib
import pkgutil

import dns.rdata
import gevent

import mox
from mox.mailauth import suffixes
from mox.supervisor.malloc import fill_holes

_LATE_IMPORTS = (
    "dns.dnssec",
    "dns.edns",
    "dns.resolver",
    "dns.reversename",
    "encodings.ascii",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "gevent.resolver.thread",
    "gevent.threadpool",
    "linecache",
    "pprint",
    "prometheus_client.multiprocess",
    "stringprep",
    "tokenize",
)
_NOT_FOR_WORKERS = ("mox.cli",)


def preload() -> None:
    """Import all that workers may need, and keep it out of the garbage collector's way."""
    for module in pkgutil.walk_packages(mox.__path__, "mox."):
        if not module.name.startswith(_NOT_FOR_WORKERS):
            importlib.import_module(module.name)
    for name in _LATE_IMPORTS:
        importlib.import_module(name)
    dns.rdata.load_all_types()  # type: ignore[no-untyped-call]
    suffixes.preload()
    for setting in gevent.config.settings.values():
        setting.get()
    # What exists now lives as long as the process: without this each child's first collection
    # would touch, and so copy, all of these pages.
    gc.collect()
    gc.freeze()
    fill_holes()
