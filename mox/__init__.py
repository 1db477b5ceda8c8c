"""mox: a complete mail server for plain Maildirs.

The packages form three rings (docs/architecture.md): processes, mail semantics, protocols.
Imports point down only; tests/test_imports.py enforces it.
"""

__version__ = "0.1.0.dev0"
