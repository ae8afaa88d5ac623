"""The translations that come with the project are complete, compiled, and what a recipient reads."""

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import read_po
from django.test import Client
from django.utils.translation.template import templatize

import pgsupervise.django_app
from pgsupervise.django_app import policies
from pgsupervise.django_app.policies import Policy, register
from pgsupervise.django_app.preferences import set_recipient
from pgsupervise.django_app.preferences_links import preferences_url
from pgsupervise.partitions.rows import Person
from tests.integration.test_rendering import batch, item, payload
from tests.registries import own_registries

APP = Path(pgsupervise.django_app.__file__).parent
CATALOGUES = sorted(APP.glob("locale/*/LC_MESSAGES/django.po"))
FUNCTIONS = {
    "_": None,
    "gettext": None,
    "gettext_noop": None,
    "gettext_lazy": None,
    "ngettext": (1, 2),
    "pgettext": ((1, "c"), 2),
    "pgettext_lazy": ((1, "c"), 2),
    "npgettext": ((1, "c"), 2, 3),
}
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")
ANN = "ann@example.com"
Message = tuple[str | None, str | tuple[str, ...]]


def texts(path: Path) -> Iterator[str]:
    """Yield what Python code and templates say, all of it as Python code."""
    for suffix in ("*.py", "*.html", "*.txt"):
        for file in sorted(path.rglob(suffix)):
            content = file.read_text()
            yield content if suffix == "*.py" else templatize(content)


@pytest.fixture(scope="module")
def marked() -> set[Message]:
    """Return every text of the app that is marked for translation."""
    found: set[Message] = set()
    for text in texts(APP):
        for _, message, _, context in extract("python", io.BytesIO(text.encode()), keywords=FUNCTIONS):
            found.add((context, message if isinstance(message, str) else tuple(message)))
    return found


def catalogue(path: Path) -> Catalog:
    with path.open("rb") as file:
        return read_po(file, locale=path.parts[-3], abort_invalid=True)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_translation_has_every_marked_text_and_no_other(path: Path, marked: set[Message]) -> None:
    translated = {(message.context, message.id): message for message in catalogue(path) if message.id}
    assert marked, "texts are found at all"
    assert set(translated) == marked
    for (_, source), message in translated.items():
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        assert all(forms), source
        assert not message.fuzzy, source
        for form in forms:
            wanted = source if isinstance(source, str) else source[-1]
            assert sorted(PLACEHOLDER.findall(str(form))) == sorted(PLACEHOLDER.findall(wanted)), form


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda path: path.parts[-3])
def test_a_translation_is_compiled_as_it_is_written(path: Path) -> None:
    with path.with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)
    for message in (message for message in catalogue(path) if message.id):
        if isinstance(message.id, str):
            one = compiled.pgettext(message.context, message.id) if message.context else compiled.gettext(message.id)
            assert one == message.string, "run pybabel compile -D django -d django_app/locale"
        else:
            found = tuple(compiled.ngettext(message.id[0], message.id[1], number) for number in (1, 2))
            assert found == message.string, "run pybabel compile -D django -d django_app/locale"


def test_german_is_one_of_them() -> None:
    assert "de" in {path.parts[-3] for path in CATALOGUES}


@pytest.mark.parametrize(
    ("actors", "subject"),
    [
        (["Bob"], "Neuigkeit von Bob"),
        (["Bob", "Bob"], "2 Neuigkeiten: Bob"),
        (["Bob", "Eve", "Ann"], "3 Neuigkeiten: Bob, Eve und 1 weitere Person"),
        (["Bob", "Eve", "Ann", "Cid"], "4 Neuigkeiten: Bob, Eve und 2 weitere"),
    ],
)
def test_a_recipient_with_that_locale_gets_its_digests_in_it(actors: list[str], subject: str) -> None:
    with own_registries():
        register(Policy(name="plain", window=timedelta(hours=1)))
        items = [item(number, actor)._replace(object="") for number, actor in enumerate(actors, start=1)]
        digest = replace(batch(*items, policy="plain"), person=Person(recipient=ANN, locale="de_AT"))
        sent = payload(digest)
    assert sent["subject"] == subject
    assert "1. März 2026, 12:01 UTC" in sent["text"]
    assert '<html lang="de" dir="ltr">' in sent["html"]


def test_its_preferences_page_is_in_it_whatever_language_is_active(db: str) -> None:
    with own_registries():
        policies._registry.clear()
        register(Policy(name="bills", window=timedelta(hours=1)))
        register(Policy(name="receipts", digest="bills"))
        register(Policy(name="security", window=timedelta(hours=1), personal_window=False, required=True))
        english = Client().get(preferences_url(ANN)).content.decode()
        set_recipient(ANN, locale="de")
        german = Client().get(preferences_url(ANN)).content.decode()
        refused = Client().post(preferences_url(ANN), {"quiet_from": "22:00"}).content.decode()
    assert '<html lang="en-us" dir="ltr">' in english
    assert '<html lang="de" dir="ltr">' in german
    for words in ("Was Sie bekommen", "Nicht senden", "Täglich um 9:00 Uhr", f"Was an {ANN} gesendet wird", "Zeitzone"):
        assert words in german
    for words in ("Wird immer gesendet", "Keine Auswahl", "Wie die Zusammenfassung, in der es steht"):
        assert words in german
    assert "Geben Sie beide Zeiten an oder keine." in refused
    assert (english.count("Always sent"), english.count("No choice")) == (1, 1)
    assert english.count("As the digest it is in") == 2, "how and when a guest is sent is its host's"
