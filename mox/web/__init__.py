"""The web: HTTP and HTTPS of all listeners, and the WSGI applications behind them.

`worker` is the process: gunicorn's worker reads requests and runs applications, on connections
that `mox.serving` accepts, does TLS for, limits and drains. `routes` says which services a port
has, at which paths and under which host names; `router` finds the application for a request.

An application is made once per process, by `make_app(services)`, and called as PEP 3333 says:
SCRIPT_NAME is the path that it is mounted at, PATH_INFO begins with a slash. The body is not
read yet when it is called and may be endless: an application sets its own limit, and need not
read what it does not want. Bytes of a body come within a time limit; ConnectionTimeout and
ConnectionLost (mox.serving.errors) pass through the application to its caller, as does what
breaks the body's framing (gunicorn.http.errors.ParseException, answered with 400).

    def make_app(services: Services) -> Bottle:
        app = Bottle(catchall=False)

        @app.post("/call")
        def call() -> HTTPResponse:
            http = request_of(request.environ)  # cid, remote_ip, listener, is_https, tls, log, …
            login = services.access.authenticate(request.environ, "webapi")
            if isinstance(login, Refused):
                return refuse(login)
            ...  # login.account_id, login.account, login.login_address; services.ctx.store

`mox.web.apps` has the list of applications.
"""
