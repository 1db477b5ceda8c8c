"""Gevent plumbing that the protocol shells share: sockets, TLS, admission, limits, draining.

A shell calls `server.serve(ctx, handler, admission)` and talks to its client through the
`Connection` it is given. No protocol text lives here.
"""
