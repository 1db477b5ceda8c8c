"""A server with the kinds of `server_kinds`, configured by a JSON file, for tests to run.

server_program.py CONFIG [-check]
"""

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from types import SimpleNamespace  # noqa: E402

from mox import logfmt  # noqa: E402
from mox.errors import MoxError  # noqa: E402
from mox.supervisor import handover  # noqa: E402
from mox.supervisor.arbiter import Supervisor  # noqa: E402
from mox.supervisor.errors import StartError  # noqa: E402
from mox.supervisor.kinds import Kind  # noqa: E402
from mox.supervisor.preload import preload  # noqa: E402
from mox.supervisor.settings import Endpoint, Identity, Settings  # noqa: E402

KINDS = {
    "smtp": Kind("smtp", "server_kinds:echo", ("smtp",), per_core=True),
    "imap": Kind("imap", "server_kinds:share", ("imap",), per_core=True),
    "web": Kind("web", "server_kinds:echo", ("metrics",)),
    "queue": Kind("queue", "server_kinds:alone", exclusive=True),
    "crash": Kind("crash", "server_kinds:crash"),
}


@dataclass
class Fixed:
    """A configuration that stays as it is."""

    text: str
    data_dir: Path

    @property
    def current(self) -> Fixed:
        return self

    @property
    def static(self) -> SimpleNamespace:
        return SimpleNamespace(listeners={})


def load(path: Path) -> Settings:
    try:
        values = json.loads(path.read_text())
    except ValueError as exc:
        raise StartError(f"{path}: {exc}") from exc
    data_dir = Path(values["data_dir"])
    (data_dir / "run").mkdir(parents=True, exist_ok=True)
    identity = Identity(*values["identity"]) if "identity" in values else None
    return Settings(
        data_dir=data_dir,
        config_source=Fixed(values.get("text", ""), data_dir),  # type: ignore[arg-type]
        endpoints=tuple(Endpoint(*entry) for entry in values.get("endpoints", ())),
        identity=identity,
        workers=values.get("workers", 2),
        grace_s=values.get("grace_s", 10),
        log_level=values.get("log_level", "debug"),
    )


def main() -> int:
    path = Path(sys.argv[1])
    kinds = [KINDS[name] for name in json.loads(path.read_text())["kinds"]]
    try:
        inherited = handover.receive()
        settings = load(path)
        logfmt.configure(settings.log_level)
        if settings.identity is not None:
            preload()
        if "-check" in sys.argv:
            return 0
        supervisor = Supervisor(
            lambda: load(path),
            settings,
            kinds=kinds,
            command=[sys.executable, *sys.orig_argv[1:]],
            inherited=inherited,
        )
        return supervisor.run()
    except MoxError as exc:
        print(exc, file=sys.stderr)
        return 1


sys.exit(main())
