"""A project's web server, which takes SendGrid's events.

`python -m tests.chaos.sending.webhook_server` prints its URL.
"""

import signal
import sys
import threading
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.core.wsgi import get_wsgi_application


class _Server(ThreadingMixIn, WSGIServer):
    """Serves requests side by side, as SendGrid sends them."""


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that http.server gives it
        """Say nothing."""


def main() -> None:
    """Serve until told to stop by SIGTERM."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})  # before the threads, which inherit it
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.set_app(get_wsgi_application())
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        sys.stdout.write(f"http://127.0.0.1:{server.server_port}\n")
        sys.stdout.flush()
        signal.sigwait({signal.SIGTERM, signal.SIGINT})
        server.shutdown()
        thread.join()


if __name__ == "__main__":
    main()
