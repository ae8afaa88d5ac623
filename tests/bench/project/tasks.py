"""Its one task."""

from pgsupervise.django_app.tasks import task
from tests.bench.peers.inside.common import counting


@task
def count(number: int) -> None:
    """Do nothing but count itself."""
    counting.count(number)
