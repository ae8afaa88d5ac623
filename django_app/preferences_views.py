"""The preferences page: a logged-in user's own, or that of whoever was sent a signed link."""

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.signing import BadSignature, SignatureExpired
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import translation
from django.utils.translation import get_language, gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_deny
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_http_methods

from pgsupervise.partitions.buckets import bucket_of

from .models import Recipient
from .preferences_form import PreferencesForm
from .preferences_links import recipient_of_link, recipient_of_user
from .rendering.readers import language_of

TEMPLATE, REFUSAL = "pgsupervise/preferences.html", "pgsupervise/preferences_refused.html"


@require_http_methods(["GET", "HEAD", "POST"])
@never_cache
@xframe_options_deny
@csrf_protect
def own(request: HttpRequest) -> HttpResponse:
    """Show the wishes of the user who is logged in; anybody else is asked to."""
    if not request.user.is_authenticated:
        return redirect_to_login(request.get_full_path())
    recipient = recipient_of_user(request.user)
    if not recipient:
        return _refused(request, gettext("Your account has no address to which anything could be sent."), 404)
    return _page(request, recipient)


@require_http_methods(["GET", "HEAD", "POST"])
@login_not_required
@never_cache
@xframe_options_deny
@csrf_protect
def signed(request: HttpRequest, token: str) -> HttpResponse:
    """Show the wishes of the recipient whose link this is, whoever is logged in."""
    try:
        recipient = recipient_of_link(token)
    except SignatureExpired:
        return _refused(request, gettext("This link has expired. Please use the one of a newer message."), 410)
    except BadSignature:
        return _refused(request, gettext("This link is not complete. Please open it as it stands in the message."), 404)
    return _page(request, recipient)


def _page(request: HttpRequest, recipient: str) -> HttpResponse:
    with translation.override(language_for(recipient)):
        return _form(request, recipient)


def language_for(recipient: str) -> str:
    """Return the language that the recipient's digests have, where it has said one; else the one that is active."""
    own = Recipient.objects.filter(bucket=bucket_of(recipient), recipient=recipient).values_list("locale", flat=True)
    return language_of(own.first() or "") or get_language() or settings.LANGUAGE_CODE


def _form(request: HttpRequest, recipient: str) -> HttpResponse:
    form = PreferencesForm(recipient, request.POST if request.method == "POST" else None)
    if form.is_valid():
        form.save()
        # So that loading the page again does not send the form again.
        return _guarded(HttpResponseRedirect(f"{request.path}?saved"))
    context = {"form": form, "recipient": recipient, "saved": "saved" in request.GET and not form.is_bound}
    return _guarded(render(request, TEMPLATE, context, status=422 if form.is_bound else 200))


def _refused(request: HttpRequest, reason: str, status: int) -> HttpResponse:
    return _guarded(render(request, REFUSAL, {"reason": reason}, status=status))


def _guarded(response: HttpResponse) -> HttpResponse:
    """Keep the link, which is a key, from other sites and from search engines; our own form needs the Referer."""
    response["Referrer-Policy"] = "same-origin"
    response["X-Robots-Tag"] = "noindex"
    return response
