"""Faults of a declaration: all of them are told at once."""

from collections.abc import Sequence

Fault = TypeError | ValueError


def refuse(faults: Sequence[Fault], what: str = "") -> None:
    """Raise the faults as one error whose message begins with `what`; return when there are none.

    Raises TypeError when one of them is a TypeError, else ValueError.
    """
    if not faults:
        return
    kind = TypeError if any(isinstance(fault, TypeError) for fault in faults) else ValueError
    message = "; ".join(str(fault) for fault in faults)
    raise kind(f"{what}: {message}" if what else message)
