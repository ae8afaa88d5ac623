"""The policy "replay", from the options of the command. Only the replay's own settings install this app."""

from pgsupervise.django_app.policies import Fixed, Policy, Sliding, register

from .options import PolicyOptions

NAME = "replay"
DOMAIN = "example.com"
"""Reserved by RFC 2606: no mail to it ever reaches a person."""


def address(recipient: str) -> str:
    """Return a mail address for a recipient, who may be only a number or a name."""
    return recipient if "@" in recipient else f"{recipient}@{DOMAIN}"


def policy(options: PolicyOptions) -> Policy:
    """Return the policy that the options describe."""
    window = Sliding(options.window, max=options.sliding_max) if options.sliding_max else Fixed(options.window)
    return Policy(
        name=NAME,
        window=window,
        flush_at=options.flush_at,
        key=options.key,
        channel=options.channel,
        template="pgsupervise/replay",  # short: what is replayed is folding, sealing and delivering
        address=address,
    )


register(policy(PolicyOptions.from_environment()))
