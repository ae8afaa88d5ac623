"""What a replay was asked to do, and how the supervisor's process learns about it."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from pgsupervise.partitions.buckets import BUCKETS
from pgsupervise.partitions.windows import WindowRule

DSN_VARIABLE = "PGSUPERVISE_REPLAY_DSN"
POLICY_VARIABLE = "PGSUPERVISE_REPLAY_POLICY"
SETTINGS = "pgsupervise.django_app.replay.settings"

CHANNELS = ("null", "inbox", "sendgrid")
KEYS = ("recipient", "object")

Key = Literal["recipient", "object"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOptions:
    """The policy by which the events are batched."""

    window: timedelta
    sliding_max: timedelta | None = None
    flush_at: int | None = None
    key: Key = "recipient"
    channel: str = "null"

    @property
    def longest(self) -> timedelta:
        """How long after its first event a batch may still be open."""
        return self.sliding_max or self.window

    def problems(self) -> list[str]:
        """Return what is wrong, each with its cure."""
        rule = WindowRule(window=self.window, sliding_max=self.sliding_max, flush_at=self.flush_at)
        return rule.problems()

    def environment(self, dsn: str) -> dict[str, str]:
        """Return the variables by which the settings and the policy reach the supervisor's process."""
        fields = {
            "window": self.window.total_seconds(),
            "sliding_max": self.sliding_max and self.sliding_max.total_seconds(),
            "flush_at": self.flush_at,
            "key": self.key,
            "channel": self.channel,
        }
        return {DSN_VARIABLE: dsn, POLICY_VARIABLE: json.dumps(fields), "DJANGO_SETTINGS_MODULE": SETTINGS}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "PolicyOptions":
        """Return the options that `environment` wrote down."""
        fields = json.loads(environment[POLICY_VARIABLE])
        for name in ("window", "sliding_max"):
            fields[name] = None if fields[name] is None else timedelta(seconds=fields[name])
        return cls(**fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything else that a replay was asked to do."""

    policy: PolicyOptions
    partitions: int = 8
    limit: int | None = None
    chunk: int = 2000
    """Events a transaction."""
    kill_every: timedelta | None = None
    database: str | None = None
    """A server that is not the embedded one."""

    def problems(self) -> list[str]:
        """Return what is wrong, each with its cure."""
        found = self.policy.problems()
        if not 1 <= self.partitions <= BUCKETS:
            found.append(f"--partitions is {self.partitions}: it must be from 1 to {BUCKETS}")
        if self.limit is not None and self.limit < 1:
            found.append(f"--limit is {self.limit}: it must be at least 1")
        if not 1 <= self.chunk <= 100_000:
            found.append(f"--chunk is {self.chunk}: it must be from 1 to 100000")
        if self.policy.channel == "sendgrid" and not os.environ.get("SENDGRID_API_KEY", "").strip():
            found.append("--channel sendgrid needs a key: set the environment variable SENDGRID_API_KEY")
        return found
