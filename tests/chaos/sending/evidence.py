"""What the provider, the killer and the tables know of a run; the audit reads nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Way(StrEnum):
    """How a policy treats a message of unknown fate."""

    RESEND = "resend"
    HOLD = "hold"
    RECONCILE = "reconcile"


WAYS = list(Way)


class Attempt(NamedTuple):
    """One attempt at a delivery, as its `custom_args` name it."""

    delivery: int
    attempt: int


class Taken(NamedTuple):
    """A message that the provider took."""

    which: Attempt
    recipient: str
    fingerprint: str
    """Of the request's bytes, but for the number of the attempt."""
    at: float
    """By the wall clock."""


class Row(NamedTuple):
    """A delivery at the end."""

    id: int
    recipient: str
    policy: str
    state: str
    attempt: int
    duplicates: int

    @property
    def way(self) -> Way:
        """How its policy treats an unknown fate."""
        return Way(self.policy.removeprefix("mailed-"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All that is known of a run."""

    recipients: Sequence[str]
    """To whom there was one digest each."""
    taken: Sequence[Taken]
    """The provider's true list."""
    cut: Mapping[Attempt, str]
    """The attempts that the provider left without an answer that tells their fate, and how."""
    killed: Mapping[Attempt, int]
    """The attempts that a worker had in hand when it died, and which of the kills that was; 0 for none of them."""
    held: frozenset[int]
    """The deliveries to be held that were UNKNOWN before the provider told anything of them."""
    rows: Sequence[Row]
    """The deliveries, after all was told."""
    kills: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)
    """For the report alone."""


class Violation(NamedTuple):
    """A promise that was broken."""

    kind: str
    text: str
