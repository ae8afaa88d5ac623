"""The admin's forms of wishes: they refuse what `set_preference` and `set_recipient` refuse, in the same words."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model

from pgsupervise.django_app import preferences_checks as checks
from pgsupervise.django_app.calendars import FIELDS
from pgsupervise.django_app.models import Preference, Recipient, TenantPreference
from pgsupervise.django_app.policies import registry
from pgsupervise.partitions.buckets import bucket_of

LEVEL = ("tenant", "policy", "category")
WISHED = ("muted", "channels", "window")

WINDOWS = (
    '{"every": seconds}, {"sliding": seconds, "max": seconds}, {"cron": "0 9 * * *"} or {"at_once": true}; a cron rule '
    "may stand by itself. Empty: says nothing."
)
HELP = {
    "channels": 'A list of names, such as ["inbox"]; an empty one, [], is none at all. Empty: says nothing.',
    "window": WINDOWS,
}
SAYS = [("unknown", "Says nothing"), ("true", "Yes"), ("false", "No")]

if TYPE_CHECKING:
    _Form = forms.ModelForm[Any]
else:
    _Form = forms.ModelForm


class WindowField(forms.JSONField):
    """A window as JSON, or a cron rule as it is."""

    def to_python(self, value: Any) -> Any:
        """Return the window; five words that are no JSON are a cron rule."""
        try:
            return super().to_python(value)
        except ValidationError:
            if isinstance(value, str) and len(value.split()) == FIELDS:
                return {"cron": value.strip()}
            raise


class WishForm(_Form):
    """What all of them have in common."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "muted" in self.fields:  # not in the form of whoever may only look
            self.fields["muted"].widget.choices = SAYS

    def refusing(self, field: str, check: Callable[..., Any], *values: Any) -> Any:
        """Return what a check returns; what it raises becomes the field's error."""
        try:
            return check(*values)
        except (TypeError, ValueError) as error:
            self.add_error(field if field in self.fields else None, str(error))
            return None

    def recipient(self) -> str:
        """Return whose row it is; in one that exists that is no field of the form."""
        found: str = self.cleaned_data.get("recipient", "") or getattr(self.instance, "recipient", "")
        return found

    def refuse_second(self, model: type[Model], **key: Any) -> None:
        """Refuse what is there already: Django leaves that out where the bucket, which is in no form, is part of it."""
        rows = model._default_manager.filter(bucket=bucket_of(self.recipient()), recipient=self.recipient(), **key)
        if rows.exclude(pk=self.instance.pk).exists():
            raise ValidationError("There is a row of this already: change that one.")

    def check_wish(self) -> None:
        """Refuse a level and a wish that nobody could obey."""
        values = self.cleaned_data
        tenant, policy, category = (values.get(name, "") for name in LEVEL)
        whose = "policy" if policy and policy not in registry else "category"
        self.refusing(whose, checks.check_level, policy, category, tenant)
        if self.errors:
            return
        self.refusing("muted", checks.checked_muted, values.get("muted"), policy)
        values["channels"] = self.refusing("channels", checks.checked_channels, values.get("channels"), policy)
        values["window"] = self.refusing("window", checks.checked_window, values.get("window"), policy)


class RecipientForm(WishForm):
    """Where a recipient lives, and when it is quiet there."""

    class Meta:
        model = Recipient
        fields = ("recipient", "time_zone", "locale", "quiet_from", "quiet_until", "properties")
        help_texts: ClassVar = {
            "quiet_from": "From then until the other time nothing is delivered, by the recipient's own clock.",
            "quiet_until": "",
        }

    def clean(self) -> dict[str, Any]:
        """Refuse what cannot be."""
        values = super().clean() or self.cleaned_data
        if "properties" in values:
            values["properties"] = {} if values["properties"] is None else values["properties"]
        self.refusing("recipient", checks.check_recipient, self.recipient())
        if not self.errors:
            self.refuse_second(Recipient)
            for names in (("time_zone",), ("locale",), ("quiet_from", "quiet_until"), ("properties",)):
                self.refusing(names[0], checks.check_person, {name: values.get(name) for name in names})
        return values


class PreferenceForm(WishForm):
    """What a recipient wishes at one level."""

    class Meta:
        model = Preference
        fields = ("recipient", *LEVEL, *WISHED)
        field_classes: ClassVar = {"window": WindowField}
        help_texts = HELP

    def clean(self) -> dict[str, Any]:
        """Refuse what cannot be."""
        values = super().clean() or self.cleaned_data
        self.refusing("recipient", checks.check_recipient, self.recipient())
        self.check_wish()
        if not self.errors:
            self.refuse_second(Preference, **{name: values.get(name, "") for name in LEVEL})
        return values


class TenantPreferenceForm(WishForm):
    """What a tenant prescribes at one level."""

    class Meta:
        model = TenantPreference
        fields = (*LEVEL, *WISHED)
        field_classes: ClassVar = {"window": WindowField}
        help_texts = HELP

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "tenant" in self.fields:  # not in the form of whoever may only look
            self.fields["tenant"].required = True

    def clean(self) -> dict[str, Any]:
        """Refuse what cannot be."""
        values = super().clean() or self.cleaned_data
        self.check_wish()
        return values
