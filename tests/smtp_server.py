"""An SMTP server on loopback (aiosmtpd) that keeps what it was sent, byte by byte, and fails as it is told to."""

import asyncio
from typing import Any, Self, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

HANG, HANG_UP = "hang", "hang up"


class SmtpServer:
    """In a with statement it listens on `port`. A reply by the name of a command is given instead of its own."""

    def __init__(self, *, replies: dict[str, str] | None = None, password: bytes | None = None) -> None:
        self.replies = replies or {}
        self.received: list[Envelope] = []
        self.connections = 0
        options: dict[str, Any] = {}
        if password is not None:
            options = {
                "auth_required": True,
                "auth_require_tls": False,
                "authenticator": lambda *given: AuthResult(success=given[-1].password == password, handled=False),
            }
        self._controller = _Controller(self, hostname="127.0.0.1", port=0, ready_timeout=30, **options)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._controller.port

    def options(self, **more: Any) -> dict[str, Any]:
        """Return what Django's SMTP backend takes to reach it."""
        return {"host": "127.0.0.1", "port": self.port, **more}

    def __enter__(self) -> Self:
        self._controller.start()
        self.connections = 0  # the controller itself has tried it
        return self

    def __exit__(self, *exception: object) -> None:
        self._controller.stop()
        self._controller.loop.close()

    async def handle_MAIL(  # noqa: N802 - the name that aiosmtpd gives it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Begin a message."""
        if "MAIL" in self.replies:
            return await self._reply(server, "MAIL")
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802 - the name that aiosmtpd gives it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Take a recipient."""
        if "RCPT" in self.replies:
            return await self._reply(server, "RCPT")
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        """Take a message's content."""
        self.received.append(envelope)
        return await self._reply(server, "DATA")

    async def _reply(self, server: SMTP, command: str) -> str:
        reply = self.replies.get(command, "250 OK")
        if reply == HANG:
            await asyncio.Event().wait()
        if reply == HANG_UP:
            cast(asyncio.Transport, server.transport).abort()
        return reply


class _Controller(Controller):
    def __init__(self, server: SmtpServer, **options: Any) -> None:
        self._smtp = server
        super().__init__(server, **options)

    def _trigger_server(self) -> None:
        self.port = cast(asyncio.Server, self.server).sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # theirs

    def factory(self) -> SMTP:
        self._smtp.connections += 1
        return cast(SMTP, super().factory())  # type: ignore[no-untyped-call]  # theirs
