"""The form of the preferences page: a row for everything, for each category and for each policy."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.db import transaction
from django.utils.translation import gettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _

from pgsupervise.partitions.buckets import bucket_of

from .channels import is_mail
from .models import Preference, Recipient
from .policies import Policy, registry
from .preferences import set_preference, set_recipient
from .rendering.names import summary

DEFAULT = ""
"""Nothing is wished at this level."""
BY_DEFAULT = _("Default")
MUTED = [(DEFAULT, BY_DEFAULT), ("false", _("Send")), ("true", _("Do not send"))]
WINDOWS = {
    '{"every":3600}': _("Hourly"),
    '{"cron":"0 9 * * *"}': _("Daily at 9:00"),
    '{"cron":"0 9 * * mon"}': _("Mondays at 9:00"),
}
MOST_TO_COMBINE = 4
NOWHERE = "null"
"""The channel that is none: nobody would wish for it."""
HEADINGS = {"muted": _("Sending"), "channels": pgettext_lazy("a channel", "By"), "window": _("When")}
FIELDS = tuple(HEADINGS)


@dataclass(frozen=True, slots=True)
class Row:
    """A level at which something can be wished on the page, and the policies that it concerns."""

    label: str
    policies: Sequence[Policy]
    policy: str = ""
    category: str = ""

    @property
    def is_required(self) -> bool:
        """Whether there is nothing that could be muted."""
        return all(policy.required for policy in self.policies)

    def offers(self, name: str) -> bool:
        """Whether it has this field: a policy in another one's digests can be muted, and the other decides the rest."""
        if name == "muted":
            return not self.is_required
        if name == "channels":
            return bool(self.channels)
        return any(policy.personal_window for policy in self.policies if policy.digest is None)

    @property
    def channels(self) -> list[str]:
        """The names of the channels that a recipient may choose."""
        hosts = [policy for policy in self.policies if policy.digest is None]
        return sorted({name for policy in hosts for name in policy.channels} - {NOWHERE})

    def instead_of(self, name: str) -> str:
        """Say why it does not have this field."""
        if name == "muted":
            return gettext("Always sent")
        if all(policy.digest is not None for policy in self.policies):
            return gettext("As the digest it is in")
        return gettext("No choice")

    def field(self, name: str) -> str:
        """Return the name of one of its fields: by what it is about, for the rows may be others after a deployment."""
        return f"{name}:policy:{self.policy}" if self.policy else f"{name}:category:{self.category}"


def rows() -> Iterator[Row]:
    """Return the rows from the general to the most specific one."""
    policies = sorted(registry.values(), key=lambda policy: policy.name)
    yield Row(gettext("Everything"), policies)
    yield from (Row(words(policy.name), [policy], policy=policy.name) for policy in policies if not policy.category)
    for category in sorted({policy.category for policy in policies} - {""}):
        own = [policy for policy in policies if policy.category == category]
        yield Row(words(category), own, category=category)
        yield from (Row(words(policy.name), [policy], policy=policy.name) for policy in own)


class PreferencesForm(forms.Form):
    """What one recipient wishes, of all tenants alike. Raises nothing for whatever is stored or sent."""

    time_zone = forms.ChoiceField(required=False)
    quiet_from = forms.TimeField(required=False)
    quiet_until = forms.TimeField(required=False)

    def __init__(self, recipient: str, data: Mapping[str, Any] | None = None) -> None:
        self.recipient = recipient
        self.rows = list(rows())
        own = {"bucket": bucket_of(recipient), "recipient": recipient}
        stored = Recipient.objects.filter(**own).first() or Recipient(**own)
        wishes = {(wish.policy, wish.category): wish for wish in Preference.objects.filter(**own, tenant="")}
        times = {"quiet_from": stored.quiet_from, "quiet_until": stored.quiet_until}
        super().__init__(data, initial={"time_zone": stored.time_zone, **times})
        self._describe_person(stored.time_zone)
        for row in self.rows:
            self._add(row, wishes.get((row.policy, row.category)))

    def _describe_person(self, zone: str) -> None:
        names = sorted({*_zones(), zone} - {""})
        self.fields["time_zone"].choices = [(DEFAULT, BY_DEFAULT), *((name, name) for name in names)]  # type: ignore[attr-defined]  # of a ChoiceField
        self.fields["time_zone"].label = gettext("Time zone")
        for name, label in (("quiet_from", gettext("Quiet from")), ("quiet_until", gettext("Quiet until"))):
            self.fields[name].label = label
            self.fields[name].widget = forms.TimeInput(attrs={"type": "time"}, format="%H:%M")

    def _add(self, row: Row, wish: Preference | None) -> None:
        stored = {name: _text(getattr(wish, name, None)) for name in FIELDS}
        choices: dict[str, list[Any]] = {
            "muted": MUTED,
            "channels": _channel_choices(row),
            "window": [(DEFAULT, BY_DEFAULT), *WINDOWS.items()],
        }
        for name in FIELDS:
            if not row.offers(name):
                continue
            offered = list(choices[name])
            if stored[name] not in dict(offered):  # stored otherwise than by this page: it may stay as it is
                offered.append((stored[name], gettext("As it is")))
            label = f"{HEADINGS[name]}: {row.label}"
            field = forms.ChoiceField(choices=offered, required=False, initial=stored[name], label=label)
            self.fields[row.field(name)] = field

    def clean(self) -> dict[str, Any]:
        """Refuse quiet hours that are none."""
        values = super().clean() or self.cleaned_data
        begin, end = values.get("quiet_from"), values.get("quiet_until")
        wrong = {"quiet_from", "quiet_until"} & self.errors.keys()
        if not wrong and (begin is None) != (end is None):
            self.add_error("quiet_until" if end is None else "quiet_from", gettext("Give both times, or none."))
        elif begin is not None and begin == end:
            self.add_error("quiet_until", gettext("Give another time than the first one, or none at all."))
        return values

    def save(self) -> None:
        """Store what was changed, and leave alone what was not: somebody else may have changed it meanwhile."""
        with transaction.atomic():
            given = {name: self.cleaned_data[name] for name in ("time_zone",) if name in self.changed_data}
            if {"quiet_from", "quiet_until"} & set(self.changed_data):
                given |= {name: self.cleaned_data[name] for name in ("quiet_from", "quiet_until")}
            if given:
                set_recipient(self.recipient, **given)
            for row in self.rows:
                changed = [name for name in FIELDS if row.field(name) in self.changed_data]
                wished = {name: _value(self.cleaned_data[row.field(name)]) for name in changed}
                if wished:
                    set_preference(self.recipient, policy=row.policy, category=row.category, **wished)

    def person(self) -> list[forms.BoundField]:
        """Return the fields about the recipient itself."""
        return [self[name] for name in ("time_zone", "quiet_from", "quiet_until")]

    def headings(self) -> list[str]:
        """Return what stands above the columns of the table."""
        return [str(heading) for heading in HEADINGS.values()]

    def table(self) -> Iterable[tuple[Row, list[tuple[str, forms.BoundField | str]]]]:
        """Return each row with its fields under their headings, or the words that stand instead of a field."""
        for row in self.rows:
            yield (
                row,
                [
                    (str(heading), self[row.field(name)] if row.field(name) in self.fields else row.instead_of(name))
                    for name, heading in HEADINGS.items()
                ],
            )


def _channel_choices(row: Row) -> list[tuple[str, Any]]:
    names = row.channels
    sizes = range(1, len(names) + 1) if len(names) <= MOST_TO_COMBINE else (1, len(names))
    sets = chain.from_iterable(combinations(names, size) for size in sizes)
    spoken = {name: _channel_words(name, names) for name in names}
    return [
        (DEFAULT, BY_DEFAULT),
        *((_text(list(chosen)), summary([spoken[name] for name in chosen], len(chosen))) for chosen in sets),
    ]


def _channel_words(name: str, among: Sequence[str]) -> str:
    """Return what a reader calls a channel: e-mail, where only one of those to choose from is a way to send it."""
    is_only_mail = is_mail(name) and sum(map(is_mail, among)) == 1
    return gettext("E-mail") if is_only_mail else gettext("Inbox") if name == "inbox" else words(name)


def _text(value: Any) -> str:
    return DEFAULT if value is None else json.dumps(value, separators=(",", ":"))


def _value(text: str) -> Any:
    return None if text == DEFAULT else json.loads(text)


def words(name: str) -> str:
    """Return a policy's, a category's or a channel's name as people write it, translated where the project does."""
    words = " ".join(name.replace("_", " ").replace("-", " ").split()) or name
    return gettext(words[:1].upper() + words[1:])


@cache
def _zones() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if "/" in name or name == "UTC")
