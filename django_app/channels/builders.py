"""How channels are built from the settings. A project that does not use one need not load what that imports."""

import ipaddress

from pgsupervise.django_app.installation import installation_ids
from pgsupervise.django_app.settings import read
from pgsupervise.supervisor.project import Channel

MOST_TOGETHER = 1000
"""SendGrid takes so many recipients in one request, in all its personalizations together."""


def sendgrid() -> Channel:
    """Return a channel to SendGrid with a request for each message."""
    from .sendgrid import SendGridChannel

    settings = read()
    return SendGridChannel(
        api_key=settings.sendgrid_api_key,
        host=settings.sendgrid_host,
        timeout=settings.sendgrid_timeout,
        installation=installation_ids()[0],
    )


def sendgrid_template() -> Channel:
    """Return a channel to SendGrid with a request for many messages of one dynamic template."""
    from .sendgrid_template import SendGridTemplateChannel

    settings = read()
    return SendGridTemplateChannel(
        templates=settings.sendgrid_templates,
        api_key=settings.sendgrid_api_key,
        host=settings.sendgrid_host,
        timeout=settings.sendgrid_timeout,
        installation=installation_ids()[0],
    )


def email() -> Channel:
    """Return a channel through one of Django's e-mail backends."""
    from django.conf import settings as django_settings

    from .email import EmailChannel

    settings = read()
    backend = settings.email_backend or django_settings.EMAIL_BACKEND
    return EmailChannel(backend=backend, timeout=settings.email_timeout, options=settings.email_options)


def webhook() -> Channel:
    """Return a channel to the endpoints of the settings."""
    from .endpoints import endpoint_of
    from .webhook import WebhookChannel

    settings = read()
    return WebhookChannel(
        endpoint_of=endpoint_of(settings.webhook_endpoints),
        timeout=settings.webhook_timeout,
        allowed=[ipaddress.ip_network(network) for network in settings.webhook_allowed_networks],
    )


def slack() -> Channel:
    """Return a channel to the incoming webhooks of the settings."""
    from .endpoints import url_of
    from .slack import SlackChannel

    settings = read()
    return SlackChannel(
        url_of=url_of(settings.slack_webhooks),
        timeout=settings.webhook_timeout,
        allowed=[ipaddress.ip_network(network) for network in settings.webhook_allowed_networks],
    )
