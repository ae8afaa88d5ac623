"""A policy in a line, for who looks at it in a terminal."""

from .dated_windows import Before, FromProperty, Until
from .policies import Policy
from .texts import shorten
from .windows import Calendar, Fixed, Sliding, Window


def in_words(policy: Policy) -> str:
    """Return what a policy declares about window, channel and category."""
    said = [f"in the digests of {policy.digest}"]
    if policy.digest is None:
        said = [window_in_words(policy.declared_window), f"by {' or '.join(policy.channels)}"]
    return ", ".join([*said, *([f"category {policy.category}"] if policy.category else [])])


def window_in_words(window: Window) -> str:
    """Return what a declared window says."""
    match window:
        case Fixed(length):
            return f"a window of {length}"
        case Sliding(length, max=longest):
            return f"a window of {length} after the last event, {longest} at most"
        case Calendar(cron, zone):
            return f"a window until {cron!r}{f' in {zone}' if zone else ''}"
        case Until(path):
            return f"a window until {path}"
        case Before(path, lead):
            return f"a window until {lead} before {path}"
        case FromProperty(path):
            return f"a window as {path} says"
    return f"the window {shorten(window)}"
