"""Unsubscribing by one click: RFC 8058.

A mail program sends a POST, without cookies and without a person, and takes no redirect for an answer (section 3.2). A
GET comes from people and from whatever looks at links before people do, so it shows a page and changes nothing.
"""

from django.contrib.auth.decorators import login_not_required
from django.core.signing import BadSignature
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import gettext, gettext_noop
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from .preferences_form import words
from .preferences_views import language_for
from .unsubscribe_links import Level, target_of, token_of, unsubscribe_path
from .unsubscribing import Subscription, subscription_of, unsubscribe

TEMPLATE, REFUSAL = "pgsupervise/unsubscribe.html", "pgsupervise/preferences_refused.html"
PAGE = "page"
"""In the query of what our own page sends: a person looks at the answer."""
GONE = gettext_noop("This link is not good any more, or not complete. Please open it as it stands in a newer message.")


@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
@never_cache
@xframe_options_deny
@csrf_exempt
def one_click(request: HttpRequest, token: str) -> HttpResponse:
    """Unsubscribe by a POST, whatever is in it: the token alone says who may do what. Show a page by a GET."""
    try:
        target = target_of(token)
    except BadSignature:
        return _guarded(_gone(request))
    subscription = subscription_of(target)
    if subscription is None:
        return _guarded(_gone(request))
    if request.method == "POST":
        unsubscribe(token)
        if not _is_person(request):
            return _guarded(HttpResponse("Unsubscribed.\n", content_type="text/plain; charset=utf-8"))
    with translation.override(language_for(subscription.recipient)):
        is_done = request.method == "POST"
        choices = [] if is_done else _choices(target.bucket, target.batch_id, subscription)
        return _guarded(_page(request, choices))


def _choices(bucket: int, batch_id: int, subscription: Subscription) -> list[tuple[str, str]]:
    """Return (what the button says, where it sends to) for each level that there is."""
    labels = {Level.POLICY: gettext("Unsubscribe from “%(name)s”") % {"name": words(subscription.policy)}}
    if subscription.category:
        name = words(subscription.category)
        labels[Level.CATEGORY] = gettext("Unsubscribe from everything in “%(name)s”") % {"name": name}
    labels[Level.ALL] = gettext("Unsubscribe from everything")
    return [(label, f"{unsubscribe_path(token_of(bucket, batch_id, level))}?{PAGE}") for level, label in labels.items()]


def _page(request: HttpRequest, choices: list[tuple[str, str]]) -> HttpResponse:
    # No link to the preferences page: that shows whose it is, and its links expire, which this one does not.
    return render(request, TEMPLATE, {"choices": choices})


def _gone(request: HttpRequest) -> HttpResponse:
    if request.method == "POST" and not _is_person(request):
        return HttpResponse("No such link.\n", content_type="text/plain; charset=utf-8", status=404)
    return render(request, REFUSAL, {"reason": gettext(GONE)}, status=404)


def _is_person(request: HttpRequest) -> bool:
    return PAGE in request.GET


def _guarded(response: HttpResponse) -> HttpResponse:
    """Keep the link, which is a key, from other sites and from search engines."""
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response
