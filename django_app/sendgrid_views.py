"""SendGrid's signed Event Webhook. Its answers are empty: what is wrong with a request is told to the log alone."""

import logging
from datetime import timedelta

from django.conf import settings as django_settings
from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from . import settings
from .installation import installation_ids
from .provider_recording import record
from .sendgrid_events import MalformedError, parse
from .sendgrid_signature import is_fresh, is_signed, public_key

logger = logging.getLogger(__name__)
SIGNATURE, TIMESTAMP = "X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"
LARGEST_BODY = 16_000_000
"""Bytes: SendGrid's own requests are smaller by far, and 10,000 events with long reasons fit in."""
TAKEN, MALFORMED, REFUSED, TOO_LARGE, LATER = 204, 400, 403, 413, 503


@csrf_exempt
@login_not_required
@require_POST
def events(request: HttpRequest) -> HttpResponse:
    """Take events that SendGrid has signed. Where they cannot be written down now, SendGrid is to tell them again."""
    try:
        return HttpResponse(status=_receive(request))
    except Exception:  # whatever it is, SendGrid keeps the events and comes again for up to 24 hours
        logger.exception("events of SendGrid could not be written down")
        return HttpResponse(status=LATER)


# The transaction is this view's own: where a request cannot have one, the answer must still be the view's.
for _alias in django_settings.DATABASES:
    events = transaction.non_atomic_requests(using=_alias)(events)


def _receive(request: HttpRequest) -> int:
    given = settings.read()
    timestamp = request.headers.get(TIMESTAMP, "")
    freshness = timedelta(seconds=given.sendgrid_webhook_freshness)
    if not is_fresh(timestamp, timezone.now(), freshness):
        return _refuse(REFUSED, "no timestamp, or a stale one")
    try:
        # Not `body`, which is bounded by a setting that is made for forms.
        body = request.read(LARGEST_BODY + 1)
    except OSError:
        return _refuse(MALFORMED, "the body broke off")
    if len(body) > LARGEST_BODY:
        return _refuse(TOO_LARGE, f"more than {LARGEST_BODY} bytes")
    keys = [public_key(key) for key in given.webhook_keys]
    if not is_signed(body, request.headers.get(SIGNATURE, ""), timestamp, keys):
        return _refuse(REFUSED, "not signed by any of the keys" if keys else "there is no key to verify it by")
    try:
        found = parse(body, installation_ids())
    except MalformedError as error:
        return _refuse(MALFORMED, f"no JSON array: {error}")
    new = record(found)
    logger.debug("events of SendGrid: %d of ours, %d new", len(found), new)
    return TAKEN


def _refuse(status: int, why: str) -> int:
    logger.info("request to SendGrid's webhook refused: %s", why)
    return status
