"""What the processes need to know of the policies."""

from pgsupervise.supervisor.project import OnUnknown, PolicySpec

from . import channels
from .personal_windows import personal_rule
from .policies import Policy, registry


def spec_of(policy: Policy) -> PolicySpec:
    """Return what the processes need to know of a policy; of one that is faulty, whatever is left of it."""
    host = policy.host
    return PolicySpec(
        rule=policy.rule(),
        host="" if host is policy else host.name,
        personal_rule=personal_rule(host),
        reads_data=host.declared_window.reads_data,
        minimum=host.minimum,
        leaves_out_own=policy.leaves_out_own,
        on_unknown=OnUnknown(host.on_unknown),
        is_bare=_is_bare(host),
        cap=host.cap,
        required=host.required,
    )


def _is_bare(policy: Policy) -> bool:
    """Return whether nobody reads its items; where it takes other policies' events, they say which ones are muted."""
    is_host = any(guest.digest == policy.name for guest in registry.values())
    return not is_host and not any(map(channels.takes, policy.every_channel))
