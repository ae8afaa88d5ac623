"""The chaos suite's policies: windows short enough to close many times while faults rain."""

from datetime import timedelta

from pgsupervise.django_app.policies import Fixed, Policy, Sliding, register

TEMPLATE = "chaos"

fixed = register(Policy(name="chaos-fixed", window=Fixed(timedelta(seconds=2)), template=TEMPLATE))
sliding = register(
    Policy(
        name="chaos-sliding",
        window=Sliding(timedelta(seconds=1), max=timedelta(seconds=3)),
        key="object",
        template=TEMPLATE,
    )
)
few = register(Policy(name="chaos-few", window=Fixed(timedelta(seconds=2)), minimum=2, template=TEMPLATE))
mailed = register(
    Policy(name="chaos-mailed", window=Fixed(timedelta(seconds=3)), channel="sendgrid", template=TEMPLATE)
)
