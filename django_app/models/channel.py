"""Channels that are, or were, paused."""

from django.db import models
from django.utils import timezone


class Channel(models.Model):
    """A channel's state in the whole cluster; one that was never paused has no row."""

    name = models.CharField(max_length=50, primary_key=True)
    is_held = models.BooleanField(default=False, db_default=False, help_text="Paused by hand, until it is resumed.")
    paused_until = models.DateTimeField(null=True, help_text="Then one message goes on trial.")
    reason = models.TextField(default="", db_default="")
    since = models.DateTimeField(help_text="When it was paused, or resumed.")
    by = models.CharField(max_length=320, default="", db_default="", help_text="The worker, or who did it by hand.")
    trial_by = models.UUIDField(null=True, editable=False)
    trial_until = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name

    @property
    def state(self) -> str:
        """Return in a word or two whether messages go: open, paused, held or on trial."""
        if self.is_held:
            return "held"
        if self.paused_until is None:
            return "open"
        return "paused" if self.paused_until > timezone.now() else "on trial"
