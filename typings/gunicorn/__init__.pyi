"""Stubs for the parts of gunicorn that mox uses."""
