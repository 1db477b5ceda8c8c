"""TLS as bytes in, bytes out (RFC 8446, RFC 5246): no sockets, no gevent.

`contexts` makes the server and client contexts, `session` is one TLS session on memory
buffers. Any event loop can drive it, or none:

    session = TLSSession(ServerContext([identity], ServerOptions()))
    session.feed(sock.recv(65536))
    done = session.handshake()
    sock.sendall(session.outgoing())

It exists because the standard library's `ssl` lacks what mail needs: channel bindings under
TLS 1.3, client certificates that are requested but not verified, the peer's whole chain.
"""
