"""What a person decides about messages of which nobody knows whether the provider took them."""

from collections.abc import Sequence
from enum import StrEnum

from pgsupervise.partitions import arrays
from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import DeliveryState

from .bulk import write_connection
from .cancelling import LARGEST, SMALLEST
from .models import Delivery
from .texts import check_text

MAX_NAME = 150


class Resolution(StrEnum):
    """How a delivery of unknown fate goes on."""

    RESEND = "resend"
    """Send it again: where it had been taken, its recipient gets it twice."""
    ACCEPT = "accept"
    """It has been taken, as somebody found out."""
    REFUSE = "refuse"
    """It is not to be sent again, whether it has been taken or not. A channel in reserve takes over, if any."""


_STATES = {
    Resolution.RESEND: (DeliveryState.PENDING, "to be sent again, decided by {}"),
    Resolution.ACCEPT: (DeliveryState.ACCEPTED, ""),
    Resolution.REFUSE: (DeliveryState.REFUSED, "not to be sent again, decided by {}"),
}


def resolve(ids: Sequence[int], how: Resolution, by: str) -> list[int]:
    """Decide about deliveries in the caller's transaction; return those that were of unknown fate until now.

    One of which the provider has told meanwhile is left to what it told. Raises ValueError for a name of more than 150
    characters, or of none.
    """
    check_text(by, "by", MAX_NAME, required=True)
    state, why = _STATES[how]
    possible = sorted({number for number in ids if SMALLEST <= number <= LARGEST})
    connection = write_connection(Delivery)
    unknown = Delivery.objects.using(connection.alias).filter(pk__in=possible, state=DeliveryState.UNKNOWN)
    found = list(unknown.order_by("pk").values_list("pk", "bucket"))
    parameters = {
        "ids": arrays.numbers(pk for pk, _ in found),
        "buckets": arrays.numbers(bucket for _, bucket in found),
        "state": state,
        "error": why.format(by),
    }
    with connection.cursor() as cursor:
        cursor.execute(load("resolve_deliveries"), parameters)
        return sorted(pk for (pk,) in cursor.fetchall())
