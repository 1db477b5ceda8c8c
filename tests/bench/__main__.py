"""python -m tests.bench [--quick] [--dir DIRECTORY]: see the package."""

from __future__ import annotations

import argparse
import platform
import shutil
import tempfile
from pathlib import Path

from tests.bench import (
    bigmailbox,
    checked,
    junk,
    scenarios,
    signatures,
    submission,
    webapi,
    webhooks,
)
from tests.support.server import Server


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fraction of the load")
    parser.add_argument("--dir", type=Path, help="where to work: the disk that is measured")
    args = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="mox-bench-", dir=args.dir or "/var/tmp"))
    big = 5_000 if args.quick else 50_000
    print(f"{platform.platform()}, Python {platform.python_version()}, in {directory}")
    server = Server(directory / "server")
    server.init()
    try:
        junk.quality(1_000 if args.quick else 6_000)
        junk.cost(directory / "junk", 500 if args.quick else 3_000)
        signatures.measure(args.quick)
        checked.shares(args.quick)
        checked.questions(directory / "questions", args.quick)
        checked.rates(directory / "checked", args.quick)
        submission.measure(directory / "submission", args.quick)
        webapi.measure(directory / "webapi", args.quick)
        webhooks.measure(directory / "webhooks", args.quick)
        scenarios.startup(server)
        scenarios.smtp_in(server, args.quick)
        scenarios.append(server, args.quick)
        scenarios.logins(server, args.quick)
        bigmailbox.fill(server, big)
        bigmailbox.read(server, big)
        bigmailbox.change(server, big)
        scenarios.idle(server, 100 if args.quick else 1000)
    finally:
        if server.process is not None:
            server.stop()
        shutil.rmtree(directory)


if __name__ == "__main__":
    main()
