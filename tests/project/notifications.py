"""Policies and followers for the tests."""

import time
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet

from pgsupervise.django_app.followers import follower_source
from pgsupervise.django_app.models import Subscription
from pgsupervise.django_app.policies import Fixed, Policy, Sliding, register

hourly = register(Policy(name="hourly", window=Fixed(timedelta(hours=1)), channel="inbox"))
sliding = register(
    Policy(name="sliding", window=Sliding(timedelta(hours=1), max=timedelta(days=1)), channel="inbox", key="object")
)


@follower_source("tests.slow")
def slow_followers(seconds: float) -> "QuerySet[Any]":
    """Take some time for each slice."""
    time.sleep(seconds)
    return Subscription.objects.all()
