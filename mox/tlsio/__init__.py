"""TLS as bytes in, bytes out (RFC 8446, RFC 5246): no sockets, no gevent.

`contexts` and `client` make contexts, `server` begins a connection's server side and `session`
a client's. Any event loop can drive them, or none:

    opening = Opening(ServerContext([identity], ServerOptions()))
    while (session := opening.feed(sock.recv(65536))) is None: …
    done = session.handshake()
    sock.sendall(session.outgoing())

There are two engines behind one interface (`engine`). The full one (`session`, pyOpenSSL) exists
because the standard library's `ssl` lacks what mail needs: channel bindings under TLS 1.3, client
certificates that are requested but not verified, the peer's whole chain. The light one (`light`,
the standard library) serves where none of that is asked for, in less memory and time.
"""
