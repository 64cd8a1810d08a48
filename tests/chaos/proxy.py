"""A small TCP proxy whose connections can be cut, or held half-open: alive on both sides, and silent."""

import selectors
import socket
import threading
from typing import Self

from tests.servers.ports import free_port


class Proxy:
    """Forwards connections on `port` to a server on 127.0.0.1."""

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self._pairs: dict[socket.socket, socket.socket] = {}
        self._lock = threading.Lock()
        self._silent = threading.Event()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._closed.set()
        self._listener.close()
        self.cut()

    def cut(self) -> int:
        """Cut every connection. Returns how many."""
        with self._lock:
            ends = list(self._pairs)
            self._pairs.clear()
        for end in ends:
            _close(end)
        return len(ends) // 2

    def fall_silent(self) -> None:
        """Forward nothing any more, and close nothing: a network that drops every packet."""
        self._silent.set()

    def speak(self) -> None:
        """Forward again; what was held back is lost with its connections."""
        self.cut()
        self._silent.clear()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=2)
            except OSError:
                _close(client)
                continue
            server.settimeout(None)
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._pairs[client], self._pairs[server] = server, client
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(client, selectors.EVENT_READ, server)
            selector.register(server, selectors.EVENT_READ, client)
            try:
                while not self._closed.is_set():
                    for key, _ in selector.select(0.5):
                        if not self._pass_on(key.fileobj, key.data):
                            return
            except (OSError, ValueError):
                return
            finally:
                with self._lock:
                    self._pairs.pop(client, None)
                    self._pairs.pop(server, None)
                _close(client)
                _close(server)

    def _pass_on(self, source: object, target: socket.socket) -> bool:
        assert isinstance(source, socket.socket)
        data = source.recv(65536)
        if not data:
            return False
        if not self._silent.is_set():
            target.sendall(data)
        return True


def _close(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    end.close()
