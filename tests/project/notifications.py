"""Policies for the tests."""

from datetime import timedelta

from pgsupervise.django_app.policies import Fixed, Policy, Sliding, register

hourly = register(Policy(name="hourly", window=Fixed(timedelta(hours=1)), channel="inbox"))
sliding = register(
    Policy(name="sliding", window=Sliding(timedelta(hours=1), max=timedelta(days=1)), channel="inbox", key="object")
)
