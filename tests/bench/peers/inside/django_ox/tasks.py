"""Its one task."""

import counting
from django.tasks import task


@task
def count(number):
    """Count itself."""
    counting.count(number)
