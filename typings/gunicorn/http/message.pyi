from gunicorn.http.body import Body

class Request:
    method: str
    uri: str
    path: str
    query: str
    version: tuple[int, int]
    headers: list[tuple[str, str]]
    body: Body
    _expected_100_continue: bool
    def force_close(self) -> None: ...
    def should_close(self) -> bool: ...
