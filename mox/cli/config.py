"""Commands about the configuration files that need no running server."""

from __future__ import annotations

import argparse
import sys

from mox.cli.command import Command, no_arguments
from mox.config import ConfigErrors, load
from mox.config.describe import describe_dynamic, describe_static, describe_submit


def _test(args: argparse.Namespace) -> int:
    try:
        config = load(args.globals.config)
    except ConfigErrors as errors:
        print(errors, file=sys.stderr)
        return 1
    for warning in config.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    for line in config.unsupported:
        print(f"warning: {line}", file=sys.stderr)
    print("config OK")
    return 0


def _describe_static(_args: argparse.Namespace) -> int:
    print(describe_static(), end="")
    return 0


def _describe_domains(_args: argparse.Namespace) -> int:
    print(describe_dynamic(), end="")
    return 0


def _describe_submit(_args: argparse.Namespace) -> int:
    print(describe_submit(), end="")
    return 0


COMMANDS = [
    Command(
        ("config", "test"),
        "Check mox.conf and domains.conf. Prints everything that is wrong, with file and line, and "
        "exits with status 1; or prints: config OK.",
        no_arguments,
        _test,
    ),
    Command(
        ("config", "describe-static"),
        "Print mox.conf with all fields and what they mean.",
        no_arguments,
        _describe_static,
    ),
    Command(
        ("config", "describe-domains"),
        "Print domains.conf with all fields and what they mean.",
        no_arguments,
        _describe_domains,
    ),
    Command(
        ("config", "describe-sendmail"),
        "Print moxsubmit.conf, the configuration of mox sendmail, with all fields.",
        no_arguments,
        _describe_submit,
    ),
]
