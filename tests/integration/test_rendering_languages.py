"""A digest is in the language and the time zone of its recipient, else in the project's."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from django.test import override_settings
from django.utils import timezone, translation

from pgsupervise.django_app.rendering.readers import language_of, zone_of
from pgsupervise.partitions.rows import Person
from tests.integration.test_rendering import batch, item, payload, write
from tests.integration.test_rendering import policies as policies
from tests.integration.test_rendering import settings_of_templates as settings_of_templates
from tests.integration.test_rendering import templates as templates

GERMAN = {
    "": "Content-Type: text/plain; charset=UTF-8\nPlural-Forms: nplurals=2; plural=(n != 1);\n",
    "%(names)s and %(count)d other\0%(names)s and %(count)d others": "%(names)s und %(count)d andere Person\0"
    "%(names)s und %(count)d andere",
    "%(names)s and %(last)s": "%(names)s und %(last)s",
    "between names\x04, ": " / ",
    "format of date and time\x04j M Y, H:i e": "j. F Y, H:i e",
    "%(n)s update\0%(n)s updates": "%(n)s Neuigkeit\0%(n)s Neuigkeiten",
    "%(updates)s from %(actor_summary)s": "%(updates)s von %(actor_summary)s",
    "%(n)s later update is not shown\0%(n)s later updates are not shown": "eine mehr\0%(n)s mehr",
}


def compiled(messages: dict[str, str]) -> bytes:
    """Return a catalogue as msgfmt writes it, which not every machine has."""
    pairs = [(source.encode(), target.encode()) for source, target in sorted(messages.items())]
    originals, translations, texts = b"", b"", b""
    start = 28 + 16 * len(pairs)
    for column in (0, 1):
        for pair in pairs:
            entry = struct.pack("<II", len(pair[column]), start + len(texts))
            texts += pair[column] + b"\0"
            originals, translations = (
                (originals + entry, translations) if column == 0 else (originals, translations + entry)
            )
    header = struct.pack("<7I", 0x950412DE, 0, len(pairs), 28, 28 + 8 * len(pairs), 0, 0)
    return header + originals + translations + texts


@pytest.fixture
def german(tmp_path: Path) -> Iterator[None]:
    folder = tmp_path / "locale" / "de" / "LC_MESSAGES"
    folder.mkdir(parents=True)
    (folder / "django.mo").write_bytes(compiled(GERMAN))
    with override_settings(LOCALE_PATHS=[tmp_path / "locale"]):
        yield


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    language_of.cache_clear()
    zone_of.cache_clear()


def text_for(*, locale: str = "", time_zone: str = "", policy: str = "digest", actors: str = "Bob") -> str:
    items = [item(number, actor) for number, actor in enumerate(actors.split(), start=1)]
    person = Person(recipient="ann@example.com", locale=locale, time_zone=time_zone)
    text: str = payload(replace(batch(*items, policy=policy), person=person))["text"]
    return text


@pytest.mark.parametrize(
    ("actors", "words"),
    [
        ("Bob Bob", "2 Neuigkeiten von Bob"),
        ("Bob Eve", "2 Neuigkeiten von Bob und Eve"),
        ("Bob Eve Ann", "3 Neuigkeiten von Bob / Eve und 1 andere Person"),
        ("Bob Eve Ann Cid", "4 Neuigkeiten von Bob / Eve und 2 andere"),
    ],
)
@pytest.mark.parametrize("locale", ["de", "DE", "de_DE", "de-at", "de_CH.UTF-8"])
def test_the_words_are_in_the_recipient_s_language(german: None, locale: str, actors: str, words: str) -> None:
    assert text_for(locale=locale, actors=actors).splitlines()[0] == words
    assert text_for(actors="Bob Eve").splitlines()[0] == "2 updates from Bob and Eve"


def test_times_are_in_the_recipient_s_zone_and_language(german: None) -> None:
    assert "1. März 2026, 21:01 JST" in text_for(locale="de", time_zone="Asia/Tokyo")
    assert "1 Mar 2026, 07:01 EST" in text_for(time_zone="America/New_York")
    assert "1 Mar 2026, 12:01 UTC" in text_for()


def test_a_language_without_words_of_ours_has_its_own_names_of_months() -> None:
    assert "1 Mar 2026, 12:01 UTC" in text_for(locale="it")
    assert "1 Mrt 2026, 12:01 UTC" in text_for(locale="nl")


def test_what_is_active_around_the_rendering_does_not_matter_and_stays_as_it_was() -> None:
    with timezone.override("Asia/Tokyo"), translation.override("nl"):
        assert "1 Mar 2026, 12:01 UTC" in text_for()
        assert translation.get_language() == "nl"
        assert str(timezone.get_current_timezone()) == "Asia/Tokyo"
    with override_settings(LANGUAGE_CODE="nl", TIME_ZONE="Asia/Tokyo"):
        assert "1 Mrt 2026, 21:01 JST" in text_for()


@pytest.mark.parametrize("setting", [{"USE_TZ": False, "TIME_ZONE": "UTC"}, {"USE_I18N": False}])
def test_settings_for_requests_do_not_change_the_time(setting: dict[str, object]) -> None:
    with override_settings(**setting):
        assert "2026, 21:01 JST" in text_for(time_zone="Asia/Tokyo")
        assert "2026, 12:01 UTC" in text_for()


@pytest.mark.parametrize("locale", ["xx", "klingon", "../../etc", "d\ud800", "e" * 20, "-", "en\x00"])
def test_a_locale_that_is_none_falls_back_and_is_told_once(caplog: pytest.LogCaptureFixture, locale: str) -> None:
    for _ in range(3):
        assert "1 Mar 2026, 12:01 UTC" in text_for(locale=locale)
    (record,) = caplog.records
    assert record.getMessage() == "a recipient's locale is none of the project's LANGUAGES: the project's is used"
    assert vars(record)["fields"] == {"stored": ascii(locale), "used": "en-us"}


@pytest.mark.parametrize("zone", ["Mars/Base", "Europe", "../../etc/passwd", "/etc/passwd", "U\ud800", "\x00", " "])
def test_a_zone_that_is_none_falls_back_and_is_told_once(caplog: pytest.LogCaptureFixture, zone: str) -> None:
    for _ in range(3):
        assert "1 Mar 2026, 12:01 UTC" in text_for(time_zone=zone)
    (record,) = caplog.records
    assert record.getMessage() == "a recipient's time zone is not known: the project's is used"
    assert vars(record)["fields"] == {"stored": ascii(zone), "used": "UTC"}


def test_only_the_project_s_languages_are_spoken(german: None, caplog: pytest.LogCaptureFixture) -> None:
    with override_settings(LANGUAGES=[("en", "English"), ("it", "Italian")]):
        assert text_for(locale="de", actors="Bob Bob").startswith("2 updates")
    assert len(caplog.records) == 1


def test_the_html_says_its_language_and_direction(german: None) -> None:
    def html_for(locale: str) -> str:
        items = [item(number, text="words") for number in (1, 2)]
        due = replace(batch(*items, policy="digest"), person=Person(recipient="ann@example.com", locale=locale))
        return str(payload(due)["html"])

    for locale, direction, start in (("de", "ltr", "left"), ("ar", "rtl", "right")):
        assert f'<html lang="{locale}" dir="{direction}">' in html_for(locale)
        assert html_for(locale).count(f"border-{start}:") == 2


def test_a_project_s_own_templates_are_translated_too(german: None, templates: Path) -> None:
    write(
        templates,
        subject_txt="x",
        body_txt="{% load i18n tz %}{% get_current_timezone as zone %}{% translate 'Yes' %} {{ zone }} "
        "{{ actors|join:'+' }} {{ first_at|date:'H:i' }}",
    )
    assert text_for(locale="de", time_zone="Asia/Tokyo", policy="notes") == "Ja Asia/Tokyo Bob 21:01"
