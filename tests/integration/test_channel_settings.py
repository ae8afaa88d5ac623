"""What the settings say about channels is checked at the start, all at once and without a secret."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import override_settings

from pgsupervise.django_app import channels, composition, settings
from pgsupervise.django_app.channel_problems import channel_problems
from pgsupervise.django_app.policies import Policy, register, registry
from tests.registries import own_registries

HOUR = timedelta(hours=1)
GOOD = "whsec_" + "c2VjcmV0" * 4
SECRETS = ("hunter2", "c2VjcmV0", "T000")
SOUND = {
    "EMAIL_BACKEND": "django.core.mail.backends.locmem.EmailBackend",
    "EMAIL_OPTIONS": {"password": "hunter2"},
    "WEBHOOK_ENDPOINTS": {"shop": {"url": "https://example.com/T000", "secrets": [GOOD]}},
    "WEBHOOK_ALLOWED_NETWORKS": ["10.0.0.0/8", "fd00::/8"],
    "SLACK_WEBHOOKS": {"team": "https://hooks.slack.com/services/T000"},
    "SENDGRID_TEMPLATES": {"*": "d-any"},
    "FROM_EMAIL": "us@example.com",
    "SENDGRID_API_KEY": "SG.a.b",
    "WEBHOOK_TIMEOUT": 30,
}
POLICIES = ("email", "webhook", "slack", "sendgrid-template")


@pytest.fixture(autouse=True)
def registries() -> Iterator[None]:
    with own_registries():
        for name in POLICIES:
            register(Policy(name=name, window=HOUR, channel=name))
        yield


def test_a_sound_setting_builds_every_channel() -> None:
    with override_settings(PGSUPERVISE=SOUND):
        assert settings.problems() == []
        assert channel_problems(registry) == []
        assert composition.longest_send() == timedelta(seconds=30)
        for name in POLICIES:
            built = channels.known()[name].build()
            assert not any(secret in repr(built) for secret in SECRETS)
        assert not any(secret in repr(settings.read()) for secret in SECRETS)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("EMAIL_BACKEND", "nowhere.Backend", "which does not import"),
        ("EMAIL_BACKEND", 3, "is of type int"),
        ("EMAIL_OPTIONS", ["hunter2"], "is of type list: it must be a dict"),
        ("EMAIL_TIMEOUT", 0, "must be a number of seconds"),
        ("EMAIL_BACKEND", "smtp://us:hunter2@mail.example.com", "is no dotted name"),
        ("WEBHOOK_ENDPOINTS", 3, "is of type int"),
        ("WEBHOOK_ENDPOINTS", GOOD, "is no dotted name"),
        ("SLACK_WEBHOOKS", "https://hooks.slack.com/services/T000/B000/x", "is no dotted name"),
        ("WEBHOOK_ENDPOINTS", "nowhere.of", "which does not import"),
        ("WEBHOOK_ENDPOINTS", {"shop": {"url": "https://T000"}}, "has 'shop', which must be"),
        ("WEBHOOK_ENDPOINTS", {"shop": {"url": "T000", "secrets": [GOOD]}}, "whose url is none"),
        ("WEBHOOK_ENDPOINTS", {"shop": {"url": "https://T000", "secrets": []}}, "secrets must be a list"),
        ("WEBHOOK_ENDPOINTS", {"shop": {"url": "https://T000", "secrets": ["hunter2!"]}}, "go on with base64"),
        ("WEBHOOK_ENDPOINTS", {"shop": {"url": "https://T000", "secrets": ["whsec_c2VjcmV0"]}}, "one has 6"),
        ("WEBHOOK_ALLOWED_NETWORKS", "10.0.0.0/8", "must be a list of networks"),
        ("WEBHOOK_ALLOWED_NETWORKS", ["10.0.0.1/8"], "has '10.0.0.1/8', which is no network"),
        ("SLACK_WEBHOOKS", {"team": "T000"}, "has 'team', whose url is none"),
        ("SLACK_WEBHOOKS", ["T000"], "is of type list"),
        ("SENDGRID_TEMPLATES", {"changes": "changes"}, "whose template does not begin with d-"),
        ("SENDGRID_TEMPLATES", "d-1", "must be a dict"),
    ],
)
def test_a_fault_is_told_with_its_cure_and_no_secret(key: str, value: Any, words: str) -> None:
    with override_settings(PGSUPERVISE={key: value}):
        (problem,) = settings.problems()
    assert problem.startswith(f"PGSUPERVISE[{key!r}] ")
    assert words in problem
    assert not any(secret in problem for secret in SECRETS)


def test_what_a_channel_in_use_lacks_is_told_together() -> None:
    with override_settings(PGSUPERVISE={}):
        found = channel_problems(registry)
    for words in (
        "no SendGrid API key, but these policies send by it: sendgrid-template",
        "messages by SendGrid would come from webmaster@localhost",
        "messages by e-mail would come from webmaster@localhost",
        "policy 'sendgrid-template' has no dynamic template",
        "these policies send by 'webhook': webhook",
        "these policies send by 'slack': slack",
    ):
        assert any(words in problem for problem in found), words
    assert len(found) == 6


def test_a_channel_in_reserve_is_in_use() -> None:
    for name in POLICIES:
        del_from_registry(name)
    register(Policy(name="spare", window=HOUR, channel="inbox", fallback="slack"))
    with override_settings(PGSUPERVISE={}):
        (problem,) = channel_problems(registry)
    assert "these policies send by 'slack': spare" in problem


def del_from_registry(name: str) -> None:
    from pgsupervise.django_app import policies

    del policies._registry[name]
