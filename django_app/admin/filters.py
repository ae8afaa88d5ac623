"""Filters that know which index serves them, so that a list reads rows in that index's order and no others."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest

from pgsupervise.django_app import policies, task_registry

from .terms import parse_id, parse_uuid

if TYPE_CHECKING:
    Rows = QuerySet[Any]
    Admin = admin.ModelAdmin[Any]
else:
    Rows, Admin = QuerySet, admin.ModelAdmin


@dataclass(frozen=True, slots=True)
class Order:
    """An order in which an index holds rows, and what to call it.

    Just the index's own columns: one more to break ties would leave it to the planner's estimates whether all rows are
    sorted for a page.
    """

    fields: tuple[str, ...]
    words: str


NEWEST = Order(("-id",), "newest first")
CLAIMED = Order(("claimed_at", "id"), "in the order of claiming")


class Choice(admin.SimpleListFilter):
    """A filter over fixed choices: it never asks the table which values there are."""

    parameter_name: str
    narrow: ClassVar[bool] = False
    """Whether it selects so few rows, by an index, that they can be sorted and filtered further."""

    def order(self) -> Order | None:
        """Return the order of the index that serves the chosen value; None when there is no such index."""
        return None

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """Return the rows of the chosen value; none for a value that is no choice."""
        value = self.value()
        if value is None:
            return queryset
        return self.select(queryset, value) if value in dict(self.lookup_choices) else queryset.none()

    def select(self, rows: Rows, value: str) -> Rows:
        """Return the rows of a value."""
        return rows.filter(**{self.parameter_name: value})


class StateFilter(Choice):
    """By state. `orders` names the states that have a partial index of their own."""

    title = parameter_name = "state"
    orders: ClassVar[Mapping[str, Order]] = {}

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: type[Model], model_admin: Admin) -> None:
        self.model = model
        super().__init__(request, params, model, model_admin)

    def lookups(self, request: HttpRequest, model_admin: Admin) -> Iterable[tuple[str, str]]:
        """Return the states."""
        state: Field[Any, Any] = self.model._meta.get_field("state")  # type: ignore[assignment]  # no relation
        return [(str(value), str(label)) for value, label in state.choices or ()]

    def order(self) -> Order | None:
        """Return the order of the state's partial index."""
        return self.orders.get(self.value() or "")


class RegisteredFilter(Choice):
    """By a name that the project registers, or by the one in the address, whose function or policy may be gone."""

    names: ClassVar[Mapping[str, object]]

    def lookups(self, request: HttpRequest, model_admin: Admin) -> Iterable[tuple[str, str]]:
        """Return the registered names."""
        return [(name, name) for name in sorted({*self.names, self.value() or ""} - {""})]


class TaskNameFilter(RegisteredFilter):
    """By the task's name."""

    title = parameter_name = "name"
    names = task_registry.registry


class PolicyFilter(RegisteredFilter):
    """By policy."""

    title = parameter_name = "policy"
    names = policies.registry


class LinkFilter(Choice):
    """The other end of a link: shown only where a link has set it, so that it can be taken away again.

    Few rows fit. `sorting` is an order that no index has: with one, no plan but reading those few rows makes sense.
    """

    narrow = True
    sorting: ClassVar[Order | None] = None

    def order(self) -> Order | None:
        """Return the order of the rows."""
        return self.sorting

    def lookups(self, request: HttpRequest, model_admin: Admin) -> Iterable[tuple[str, str]]:
        """Return the value that the link has set."""
        value = self.value()
        return [(value, value)] if value else []


class IdLink(LinkFilter):
    """Rows that name another row by its id."""

    target: ClassVar[type[Model] | None] = None
    """The row's table, where the index behind the link begins with the bucket, which both rows share."""

    def select(self, rows: Rows, value: str) -> Rows:
        """Return the rows that name this id."""
        number = parse_id(value)
        if number is None:
            return rows.none()
        if self.target is not None:
            buckets = self.target._default_manager.filter(pk=number).values_list("bucket", flat=True)
            # As constants: in one statement the planner could not count on there being one bucket.
            rows = rows.filter(bucket__in=list(buckets))
        return rows.filter(**{f"{self.parameter_name}_id": number})


class WorkerLink(LinkFilter):
    """Rows that name a worker."""

    state: ClassVar[str | None] = None
    """The state that only claimed rows have, where their index is a partial one."""

    def select(self, rows: Rows, value: str) -> Rows:
        """Return the rows that name this worker."""
        worker = parse_uuid(value)
        if worker is None:
            return rows.none()
        claimed = rows if self.state is None else rows.filter(state=self.state)
        return claimed.filter(**{self.parameter_name: worker})
