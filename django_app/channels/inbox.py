"""The local inbox: a message becomes a row in the project's own database, for its pages to show."""

import json
from typing import Any

from django.db import DatabaseError, DataError, IntegrityError, InterfaceError

from pgsupervise.django_app.bulk import write_connection
from pgsupervise.django_app.models import InboxMessage
from pgsupervise.django_app.texts import one_line
from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.rows import ClaimedDelivery
from pgsupervise.supervisor.outcomes import Accepted, NotSent, Refused, SendOutcome

# A delivery that is sent again finds its own row: the recipient sees one message, whatever happened in between.
_INSERT = """
INSERT INTO pgsupervise_inboxmessage (bucket, delivery_id, recipient, policy, subject, text, html, item_ids)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb)
ON CONFLICT (bucket, delivery_id) DO NOTHING
"""


class InboxChannel:
    """Writes through Django's connection of the calling thread."""

    def send(self, delivery: ClaimedDelivery) -> SendOutcome:
        """Write the message; a failure of the database means that it may be tried again."""
        connection = write_connection(InboxMessage)
        try:
            with connection.cursor() as cursor:
                cursor.execute(_INSERT, _row(delivery))
        except (DataError, IntegrityError) as error:
            return Refused(one_line(str(error)))
        except (DatabaseError, InterfaceError) as error:
            connection.close_if_unusable_or_obsolete()
            return NotSent(one_line(str(error)))
        return Accepted()


def _row(delivery: ClaimedDelivery) -> list[Any]:
    payload = delivery.payload
    return [
        bucket_of(delivery.recipient),
        delivery.id,
        delivery.recipient,
        delivery.policy,
        payload["subject"],
        payload["text"],
        payload.get("html", ""),
        json.dumps(payload.get("item_ids", [])),
    ]
