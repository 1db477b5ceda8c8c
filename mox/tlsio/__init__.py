"""TLS as bytes in, bytes out (RFC 8446, RFC 5246): no sockets, no files watched, no gevent.

`contexts` makes the server and client contexts, `session` is one TLS session on memory
buffers. It can be driven by any event loop or none: see `session` for an example.
"""
