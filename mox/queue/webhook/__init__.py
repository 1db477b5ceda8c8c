"""Calling applications: webhooks that are due are POSTed to their URLs, until they succeed.

- schedule: when an attempt is followed by the next
- address: URLs taken apart
- exchange: one HTTP/1.1 connection as bytes in and bytes out
- connection: that over a socket, within its limits of time
- caller: takes one call of a URL after the other
- desk: finds the URLs that have calls, and sends a caller for each
"""
