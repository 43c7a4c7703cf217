"""What a handler knows of the request besides its body, and what it may use to answer it."""

from typing import TYPE_CHECKING

from kpy.server.connection import Connection

if TYPE_CHECKING:
    from kpy.server.services import Services


class RequestContext:
    """One request: who asks, in which version, and the services of the broker."""

    __slots__ = ("client_id", "connection", "services", "version")

    def __init__(self, services: "Services", connection: Connection, version: int, client_id: str | None) -> None:
        self.services = services
        self.connection = connection
        self.version = version
        self.client_id = client_id

    @property
    def client_host(self) -> str:
        """The peer's address as Kafka shows it in group descriptions."""
        return f"/{self.connection.peer}"

    @property
    def listener(self) -> str:
        """The name of the listener that the client came in by; it is told the addresses of that one."""
        return self.connection.listener
