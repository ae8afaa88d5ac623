"""A policy for each way to treat a message of unknown fate."""

from datetime import timedelta

from pgsupervise.django_app.policies import Policy, register

for way in ("resend", "hold", "reconcile"):
    register(Policy(name=f"mailed-{way}", window=timedelta(hours=1), channel="sendgrid", on_unknown=way))
