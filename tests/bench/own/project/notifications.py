"""Policies whose windows are a day: events are folded at once, and sealed when the event clock is put forward."""

from datetime import timedelta

from pgsupervise.django_app.policies import Policy, register

DAY = timedelta(days=1)
LEAN = "bench_own"

register(Policy(name="lean", window=DAY, channel="null", template=LEAN))
register(Policy(name="ready-made", window=DAY, channel="null"))
register(Policy(name="mailed", window=DAY, channel="sendgrid", template=LEAN))
