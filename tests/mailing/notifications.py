"""One policy that sends again what it does not know the fate of, and one that does not."""

from datetime import timedelta

from pgsupervise.django_app.policies import Policy, register

register(Policy(name="mailed-resend", window=timedelta(hours=1), channel="sendgrid", on_unknown="resend"))
register(Policy(name="mailed-hold", window=timedelta(hours=1), channel="sendgrid", on_unknown="hold"))
