"""HTML in mail: what users wrote does no harm, and style sheets end up in the elements without being fetched."""

import builtins
import http.server
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.rendering import html, template_problems
from tests.integration import test_rendering
from tests.integration.test_rendering import batch, item, payload

templates = test_rendering.templates
settings_of_templates = test_rendering.settings_of_templates
policies = test_rendering.policies

LOAD = "{% load pgsupervise_digest %}"


def write(folder: Path, body: str) -> None:
    (folder / "subject.txt").write_text("s")
    (folder / "body.txt").write_text("t")
    (folder / "body.html").write_text(LOAD + body)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("<p>Hi <b>you</b></p>", "<p>Hi <b>you</b></p>"),
        ("a < b & c", "a &lt; b &amp; c"),
        ("<script>alert(1)</script>x", "x"),
        ("<style>p{display:none}</style>x", "x"),
        ("<p onclick=alert(1) style='position:fixed' class=card id=x>x</p>", "<p>x</p>"),
        ("<img src=https://evil.example/pixel.gif>x", "x"),
        ("<svg><a xlink:href='javascript:alert(1)'>x</a></svg>", ""),
        ("<a href='javascript:alert(1)'>x</a>", '<a rel="noopener noreferrer nofollow">x</a>'),
        ("<a href='data:text/html,x'>x</a>", '<a rel="noopener noreferrer nofollow">x</a>'),
        ("<a href='/relative'>x</a>", '<a rel="noopener noreferrer nofollow">x</a>'),
        (
            "<a href='https://example.com/?a=1&b=2'>x</a>",
            '<a href="https://example.com/?a=1&amp;b=2" rel="noopener noreferrer nofollow">x</a>',
        ),
        ("<form action=https://evil.example><input name=password></form>x", "x"),
        ("</td></tr></table><p>x", "<p>x</p>"),
        ("<!-- comment --><![CDATA[x]]>y", "y"),
        ("<iframe src=https://evil.example></iframe><object></object><meta http-equiv=refresh>x", "x"),
        (7, ""),
        (None, ""),
        (["<b>"], ""),
    ],
)
def test_what_users_wrote_in_html_is_cleaned(templates: Path, written: Any, shown: str) -> None:
    write(templates, "[{{ item.data.body|clean_html }}]")
    assert payload(batch(item(1, body=written)))["html"] == f"[{shown}]"


def test_without_the_filter_it_is_escaped_as_everything_is(templates: Path) -> None:
    write(templates, "{{ item.data.body }}")
    assert payload(batch(item(1, body="<b>x</b>")))["html"] == "&lt;b&gt;x&lt;/b&gt;"


def test_a_style_sheet_is_put_into_the_elements_and_what_is_for_some_screens_stays(templates: Path) -> None:
    sheet = "<style>.a { color: red } @media (max-width: 600px) { .a { color: blue } }</style>"
    page = f"<html><head>{sheet}</head><body><p class=a>{{{{ item.actor }}}}</p></body></html>"
    write(templates, f"{{% inline_css %}}{page}{{% endinline_css %}}")
    sent = payload(batch(item(1, actor="<Bob> & Ä")))["html"]
    assert '<p class="a" style="color: red;">&lt;Bob&gt; &amp; Ä</p>' in sent
    assert "@media (max-width: 600px)" in sent
    assert ".a { color: red }" not in sent


@pytest.fixture
def asked() -> Iterator[tuple[str, list[str]]]:
    paths: list[str] = []

    class Remembers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"p { color: red }")

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name that http.server gives it
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Remembers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", paths
        server.shutdown()
        thread.join()


def test_nothing_is_fetched_and_no_file_is_read(templates: Path, asked: tuple[str, list[str]]) -> None:
    base, paths = asked
    (templates / "secret.css").write_text("p { margin: 77px }")
    links = [f"{base}/x.css", f"{templates}/secret.css", f"file://{templates}/secret.css", "secret.css"]
    head = "".join(f'<link rel="stylesheet" href="{link}">' for link in links)
    write(
        templates,
        f"{{% inline_css %}}<head>{head}<style>@import '{base}/y.css';</style></head><p>x</p>{{% endinline_css %}}",
    )
    sent = payload(batch(item(1)))["html"]
    assert "<p>x</p>" in sent
    assert paths == []
    assert "<link" not in sent


def test_without_the_package_the_start_says_what_to_install(templates: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "css_inline":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    write(templates, "{% inline_css %}x{% endinline_css %}")
    policy = register(Policy(name="styled", window=timedelta(1), template="notes", channel="inbox"))
    (problem,) = template_problems(policy)
    assert 'pip install "pgsupervise[css]"' in problem


def test_the_ready_made_digest_is_as_it_was_for_whoever_has_no_links(templates: Path) -> None:
    sent = payload(batch(item(1), policy="digest"))
    assert "Unsubscribe" not in sent["html"] + sent["text"]
    assert html.clean("") == ""
