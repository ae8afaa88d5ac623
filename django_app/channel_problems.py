"""What is wrong with how channels are used and configured: everything at once, each with its cure."""

from collections.abc import Iterator, Mapping

from . import channels, settings
from .policies import Policy

DJANGO_PLACEHOLDER = "webmaster@localhost"


def fallback_problems(policy: Policy) -> list[str]:
    """Return why a policy's channels in reserve would never be asked."""
    known = channels.known()
    unfailing = [name for name in policy.channels if name in known and not known[name].needs_call]
    if not policy.fallbacks or not unfailing:
        return []
    return [
        f"policy {policy.name!r}: its channel {unfailing[0]!r} accepts everything, so fallback is never asked: "
        "leave one of them out"
    ]


def channel_problems(policies: Mapping[str, Policy]) -> list[str]:
    """Return what the settings lack for the channels that these policies use, but for what is there and faulty."""
    used: dict[str, list[str]] = {}
    for policy in policies.values():
        for channel in policy.every_channel if policy.digest is None else ():
            used.setdefault(channel, []).append(policy.name)
    faulty = settings.faults()
    return [problem for key, problem in _lacking(used, settings.sound()) if key not in faulty]


def _lacking(used: Mapping[str, list[str]], given: settings.Settings) -> Iterator[tuple[str, str]]:
    by_sendgrid = [*used.get(channels.SENDGRID, ()), *used.get(channels.SENDGRID_TEMPLATE, ())]
    if by_sendgrid and not given.sendgrid_api_key:
        yield (
            settings.KEY_VARIABLE,
            (
                f"no SendGrid API key, but these policies send by it: {', '.join(by_sendgrid)}; set "
                f"PGSUPERVISE['SENDGRID_API_KEY'] or the environment variable {settings.KEY_VARIABLE}"
            ),
        )
    mailing = {"SendGrid": by_sendgrid, "e-mail": used.get(channels.EMAIL)}
    for how in [how for how, policies in mailing.items() if policies and given.from_email == DJANGO_PLACEHOLDER]:
        yield (
            "FROM_EMAIL",
            (
                f"messages by {how} would come from {given.from_email}, which is Django's placeholder: set "
                "PGSUPERVISE['FROM_EMAIL'] to a sender that is verified there"
            ),
        )
    for name in used.get(channels.SENDGRID_TEMPLATE, ()):
        if not {name, "*"} & set(given.sendgrid_templates):
            yield (
                "SENDGRID_TEMPLATES",
                (
                    f"policy {name!r} has no dynamic template: set PGSUPERVISE['SENDGRID_TEMPLATES'] to "
                    f'{{{name!r}: "d-..."}}, or send it by {channels.SENDGRID!r}'
                ),
            )
    for channel, key in ((channels.WEBHOOK, "WEBHOOK_ENDPOINTS"), (channels.SLACK, "SLACK_WEBHOOKS")):
        if used.get(channel) and not getattr(given, key.lower()):
            yield (
                key,
                (
                    f"no address has a URL, but these policies send by {channel!r}: {', '.join(used[channel])}; set "
                    f"PGSUPERVISE[{key!r}]"
                ),
            )
