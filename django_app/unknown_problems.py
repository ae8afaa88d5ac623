"""Policies that reconcile by what a provider tells later, where nobody will tell."""

from collections.abc import Iterator

from . import channels, policies, settings


def unknown_problems() -> Iterator[str]:
    """Yield every fault of the policies whose `on_unknown` is "reconcile", with its cure."""
    has_key = "SENDGRID_WEBHOOK_KEYS" in settings.faults() or bool(settings.sound().webhook_keys)
    for policy in policies.registry.values():
        if policy.on_unknown != "reconcile" or policy.digest is not None:
            continue
        for name in policy.channels:
            spec = channels.known().get(name)
            if spec is not None and not spec.resend_is_safe and not spec.tells_later:
                yield (
                    f"policy {policy.name!r}: on_unknown is 'reconcile', but nobody tells what became of messages by "
                    f"{name!r}: use 'resend' or 'hold'"
                )
        by_sendgrid = {channels.SENDGRID, channels.SENDGRID_TEMPLATE} & set(policy.every_channel)
        if by_sendgrid and not has_key:
            yield (
                f"policy {policy.name!r}: on_unknown is 'reconcile', but there is no key for SendGrid's Event Webhook: "
                "switch on its signature, and set PGSUPERVISE['SENDGRID_WEBHOOK_KEYS'] to its verification key"
            )
