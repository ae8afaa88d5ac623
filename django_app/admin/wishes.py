"""Lists and forms of what recipients and tenants wish: unlike the workers' tables these may be changed."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from pgsupervise.django_app.models import Preference, Recipient, TenantPreference

from .display import shortened
from .filters import Admin, PolicyFilter, Rows
from .readonly import ReadOnlyAdmin
from .recipients import by_id, of_recipient
from .terms import Term
from .times import moment
from .wish_forms import PreferenceForm, RecipientForm, TenantPreferenceForm

LEVEL = ("tenant", "policy", "category")
WISHED = ("muted", "channels", "window")


class WishesAdmin(ReadOnlyAdmin):
    """Lists as bounded as the others, and forms for those who have Django's permissions to add, change and delete."""

    has_add_permission = Admin.has_add_permission
    has_change_permission = Admin.has_change_permission
    has_delete_permission = Admin.has_delete_permission
    fixed: tuple[str, ...] = ()
    """What decides where a row lies stays as it is: another recipient's wishes are another row."""

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what the form asks for, and when it was changed last."""
        asked = [field for field in self.form._meta.fields or () if field != "updated_at"]
        return asked if obj is None else [*asked, "updated_at"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what of that cannot be changed."""
        return [] if obj is None else [*self.fixed, "updated_at"]


@admin.register(Recipient)
class RecipientAdmin(WishesAdmin):
    """Where recipients live, and when it is quiet there."""

    form = RecipientForm
    fixed = ("recipient",)
    list_display = ("id", shortened("recipient", 60), "time_zone", "locale", "quiet_from", "quiet_until")
    list_filter = ()
    search_help_text = "An id, or a recipient in full."
    deferred = ("properties",)

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by recipient."""
        return by_id(Recipient, term), of_recipient(Recipient, term)


@admin.register(Preference)
class PreferenceAdmin(WishesAdmin):
    """What recipients wish."""

    form = PreferenceForm
    fixed = ("recipient",)
    list_display = ("id", shortened("recipient", 60), *LEVEL, *WISHED, moment("updated_at"))
    list_filter = (PolicyFilter,)
    search_help_text = "An id, or a recipient in full."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by recipient."""
        return by_id(Preference, term), of_recipient(Preference, term)


@admin.register(TenantPreference)
class TenantPreferenceAdmin(WishesAdmin):
    """What tenants prescribe."""

    form = TenantPreferenceForm
    list_display = ("id", *LEVEL, *WISHED, moment("updated_at"))
    list_filter = (PolicyFilter,)
    search_help_text = "An id, or a tenant in full."

    def find(self, term: Term) -> Iterable[Rows]:
        """Find by id and by tenant."""
        return by_id(TenantPreference, term), TenantPreference.objects.filter(tenant=term.text).order_by("-id")
