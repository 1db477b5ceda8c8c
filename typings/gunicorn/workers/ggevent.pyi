import socket

from gunicorn.workers.base import Worker

class GeventWorker(Worker):
    def handle(self, listener: socket.socket, client: socket.socket, addr: object) -> None: ...
