from typing import NoReturn

from gunicorn.app.base import BaseApplication

class Arbiter:
    SIG_QUEUE: object
    def __init__(self, app: BaseApplication) -> None: ...
    def run(self) -> NoReturn: ...
