"""The HTTP client of the `sendgrid` package with what it lacks.

Connections are kept from one message to the next, no redirect is followed, and a reply has a deadline.
"""

import json
import ssl
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from typing import IO, Any
from urllib.request import (
    AbstractHTTPHandler,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    Request,
    build_opener,
)

import python_http_client

from .bounded_reply import BoundedReply
from .deadline import PromptResponse
from .keep_alive import Exchange, KeptConnection


class PromptClient(python_http_client.Client):  # type: ignore[misc]  # the package has no type information
    """A client whose messages all go through one opener of ours."""

    def __init__(self, *, opener: OpenerDirector, **settings: Any) -> None:
        super().__init__(**settings)
        self._opener = opener

    def _build_client(self, name: str | None = None) -> "PromptClient":
        # Every step of `client.mail.send` is a new client, which the original makes of its own class.
        return PromptClient(
            opener=self._opener,
            host=self.host,
            request_headers=self.request_headers,
            version=self._version,
            url_path=[*self._url_path, name] if name else self._url_path,
            timeout=self.timeout,
        )

    def post(self, request_body: Any) -> Any:
        """Send JSON, as the original does, but for the opener, which it builds anew: that takes longer than the rest.

        Nor is anything logged: the original writes the key and the message.
        """
        headers = {"Content-Type": "application/json", **self.request_headers}
        data = json.dumps(request_body).encode()
        request = Request(self._build_url(None), data=data, headers=headers, method="POST")  # noqa: S310 - the scheme is checked
        return python_http_client.client.Response(self._make_request(self._opener, request))


def prompt_opener(kept: KeptConnection) -> OpenerDirector:
    """Return an opener that reads the trusted certificates once, not anew for every message."""
    tls = ssl.create_default_context()
    tls.set_alpn_protocols(["http/1.1"])
    return build_opener(_NoRedirect, _PromptHTTPHandler(kept), _PromptHTTPSHandler(kept, context=tls))


class _NoRedirect(HTTPRedirectHandler):
    """Leave a redirect what it is, an answer with status 3xx.

    The default turns the POST into a GET, takes the page found there for an answer to the message, and shows the
    API key to whichever host the redirect names.
    """

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        return None


class _PromptHandler(AbstractHTTPHandler):
    def __init__(self, kept: KeptConnection, **settings: Any) -> None:
        super().__init__(**settings)
        self._kept = kept

    def do_open(self, http_class: Any, req: Request, **connection_args: Any) -> HTTPResponse:
        def exchange(host: str, **settings: Any) -> Exchange:
            def connect() -> HTTPConnection:
                connection: HTTPConnection = http_class(host, **settings)
                connection.response_class = _Reply
                return connection

            return Exchange(self._kept, host, connect)

        return super().do_open(exchange, req, **connection_args)  # type: ignore[arg-type]  # all that it uses of one


class _PromptHTTPHandler(_PromptHandler, HTTPHandler):
    pass


class _PromptHTTPSHandler(_PromptHandler, HTTPSHandler):
    pass


class _Reply(BoundedReply, PromptResponse):
    pass
