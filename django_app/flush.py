"""Flush now: what is batched goes out without waiting for its window."""

from pgsupervise.partitions.buckets import bucket_of
from pgsupervise.partitions.statements import load
from pgsupervise.partitions.states import BatchState

from .bulk import write_connection
from .cancelling import LARGEST, SMALLEST
from .models import Batch, Event
from .policies import Policy, registered, registry
from .texts import check_text, shorten

MAX_RECIPIENT = 320
MAX_TENANT = 100


def flush(
    policy: Policy | str | None = None,
    recipient: str | None = None,
    batch: int | None = None,
    tenant: str | None = None,
) -> int:
    """Ask, in the caller's transaction, for batches to be closed now; return how many will be.

    Those of a policy, of a recipient and of a tenant, where more than one is given those of all of them together; or
    one batch by its id. They are closed with everything that was committed, or written by this transaction, before;
    what comes later opens the next ones. A policy that goes into another one's digests stands for these.

    It writes rows and locks none. Raises PolicyError for an unknown policy, TypeError or ValueError for other values,
    and ValueError where nothing is given: everything is never meant by mistake.
    """
    if policy is None and recipient is None and batch is None and tenant is None:
        raise ValueError("flush() was not told what to flush: give policy=, recipient=, tenant= or batch=")
    host = None if policy is None else registered(policy).host.name
    if recipient is not None:
        check_text(recipient, "recipient", MAX_RECIPIENT, required=True)
    if tenant is not None:
        check_text(tenant, "tenant", MAX_TENANT)
    if batch is not None:
        whose = _recipient_of(batch)
        if whose is None or recipient not in (None, whose):
            return 0
        recipient = whose
    hosted = {name: one.host.name for name, one in registry.items() if one.host is not one}
    parameters = {
        "policy": host,
        "recipient": recipient,
        "tenant": tenant,
        "batch": batch,
        "bucket": None if recipient is None else bucket_of(recipient),
        "guests": list(hosted),
        "hosts": list(hosted.values()),
    }
    with write_connection(Event).cursor() as cursor:
        cursor.execute(load("request_flushes"), parameters)
        return int(cursor.rowcount)


def _recipient_of(batch: object) -> str | None:
    """Return whose an open batch is: with that the statement looks into one bucket instead of all."""
    if not isinstance(batch, int) or isinstance(batch, bool):
        raise TypeError(f"batch is {shorten(batch)} ({type(batch).__name__}): it must be an int, a batch's id")
    if not SMALLEST <= batch <= LARGEST:
        return None
    alias = write_connection(Batch).alias
    found = Batch.objects.using(alias).filter(pk=batch, state=BatchState.OPEN).values_list("recipient", flat=True)
    return found.first()
