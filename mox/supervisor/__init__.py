"""The parent of all processes: binds, forks, watches, restarts, reloads, upgrades, drains.

It speaks no protocol and opens no index. It is monkey-patched, because its children are made by
fork, but it never runs gevent's loop itself: whatever gevent replaces is used here in the original
form. The children are described in `mox.supervisor.kinds`.
"""
