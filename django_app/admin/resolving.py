"""Deciding about deliveries of unknown fate in their list: chosen, shown once more, decided, and written to the log."""

from collections.abc import Callable, Sequence
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from pgsupervise.django_app.models import Delivery
from pgsupervise.django_app.resolving import MAX_NAME, Resolution, resolve
from pgsupervise.partitions.states import DeliveryState

from .changelist import PER_PAGE
from .filters import Rows
from .readonly import ReadOnlyAdmin

PERMISSION = "pgsupervise.resolve_delivery"
WORDS = {
    Resolution.RESEND: "Send again what is of unknown fate",
    Resolution.ACCEPT: "Take what is of unknown fate as accepted",
    Resolution.REFUSE: "Never send what is of unknown fate",
}
CONSEQUENCES = {
    Resolution.RESEND: "Where the provider had taken the first message, its recipient gets it twice.",
    Resolution.ACCEPT: "Where the provider had not taken it, its recipient never gets it.",
    Resolution.REFUSE: (
        "Where the provider had not taken it, its recipient never gets it. A channel in reserve takes over, if there "
        "is one: where the provider had taken it, its recipient gets it by both then."
    ),
}
Action = Callable[["ResolvesUnknown", HttpRequest, Rows], HttpResponse | None]


def _action(how: Resolution) -> Action:
    @admin.action(description=WORDS[how], permissions=["resolve"])
    def act(model_admin: "ResolvesUnknown", request: HttpRequest, queryset: Rows) -> HttpResponse | None:
        return model_admin.decide(request, queryset, how)

    act.__name__ = how.value
    return act


class ResolvesUnknown(ReadOnlyAdmin):
    """The actions of the deliveries' list, for those who have the permission `resolve_delivery`."""

    actions = [_action(how) for how in Resolution]

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        """Return whether the user may decide; a superuser may."""
        return bool(request.user.has_perm(PERMISSION))

    def decide(self, request: HttpRequest, queryset: Rows, how: Resolution) -> HttpResponse | None:
        """Ask for confirmation, or do what was confirmed."""
        chosen = list(queryset.filter(state=DeliveryState.UNKNOWN).defer("payload")[:PER_PAGE])
        if not chosen:
            self.message_user(request, "None of these is of unknown fate.", messages.WARNING)
            return None
        if request.POST.get("confirmed") != how:
            return TemplateResponse(request, "admin/pgsupervise/resolve.html", self._question(request, chosen, how))
        with transaction.atomic(using=queryset.db):
            done = resolve([one.pk for one in chosen], how, request.user.get_username()[:MAX_NAME])
            for one in chosen:
                if one.pk in done:
                    self.log_change(request, one, f"Decided about its unknown fate: {how}")
        level = messages.SUCCESS if len(done) == len(chosen) else messages.WARNING
        self.message_user(request, f"{how}: {len(done)} of {len(chosen)} deliveries of unknown fate.", level)
        return None

    def _question(self, request: HttpRequest, chosen: Sequence[Delivery], how: Resolution) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "title": WORDS[how],
            "opts": self.opts,
            "consequence": CONSEQUENCES[how],
            "how": how.value,
            "deliveries": chosen,
            "checkbox": ACTION_CHECKBOX_NAME,
        }
