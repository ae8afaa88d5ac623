"""The list of addresses that get nothing any more: people add to it and take from it, providers add to it."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import HttpRequest

from pgsupervise.django_app.addresses import AddressError, checked_address
from pgsupervise.django_app.models import Suppression
from pgsupervise.django_app.suppressions import suppressions_of
from pgsupervise.django_app.texts import one_line
from pgsupervise.partitions.states import SuppressionReason

from .display import shortened
from .filters import Rows
from .recipients import by_id
from .terms import Term
from .times import moment
from .wishes import WishesAdmin

if TYPE_CHECKING:
    _Form = forms.ModelForm[Suppression]
else:
    _Form = forms.ModelForm


class SuppressionForm(_Form):
    """An address, and why; a new one is by hand."""

    class Meta:
        model = Suppression
        fields = ("address", "note")

    def clean_address(self) -> str:
        """Refuse what is no address, and what is in the list already."""
        try:
            address = checked_address(self.cleaned_data["address"]).lower()
        except AddressError as error:
            raise ValidationError(str(error)) from None
        if suppressions_of(address).filter(reason=SuppressionReason.BY_HAND).exists():
            raise ValidationError("This address is in the list already, by hand.")
        return address

    def clean_note(self) -> str:
        """Keep it on one line, as a provider's words are."""
        return one_line(self.cleaned_data["note"])


@admin.register(Suppression)
class SuppressionAdmin(WishesAdmin):
    """Who gets no mail any more. Without its rows an address gets mail again, unless its provider keeps it too."""

    form = SuppressionForm
    list_display = ("id", shortened("address", 60), "reason", shortened("note", 60), moment("occurred_at"))
    list_filter = ()
    search_help_text = "An id, or an address in full."

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what the form asks for, or all that is known of a row."""
        return ["address", "note"] if obj is None else ["address", "reason", "note", "event_id", *self.times]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what of that cannot be changed: another address, or another reason, is another row."""
        return [] if obj is None else ["address", "reason", "event_id", *self.times]

    times = ("occurred_at", "created_at")

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by address, however it is spelled."""
        yield by_id(Suppression, term)
        try:
            yield suppressions_of(term.text)
        except AddressError:
            return
