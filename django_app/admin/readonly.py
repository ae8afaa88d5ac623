"""What the tables' admins have in common: everything can be looked at and nothing can be changed."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

from django.contrib.admin.options import ShowFacets
from django.db.models import Model
from django.http import HttpRequest, HttpResponse

from .changelist import PER_PAGE, BoundedPaginator, PagedChangeList
from .display import Cell, detail
from .filters import NEWEST, Admin, Choice, Order, Rows
from .terms import Term, tamed

MAX_FOUND = 1000
"""Rows that one reading of a search term may yield."""


class ReadOnlyAdmin(Admin):
    """Lists and pages of one table."""

    order: ClassVar[Order] = NEWEST
    small: ClassVar[bool] = False
    """Whether the table stays so small that its lists need no index."""
    deferred: ClassVar[tuple[str, ...]] = ()
    """Columns that a list leaves in the database."""
    links: ClassVar[Mapping[str, type[Model]]] = {}
    """Fields that name a row of another table without being a foreign key."""
    related: ClassVar[tuple[Cell, ...]] = ()
    """Links that a row's page has besides its fields."""

    actions: Any = None
    list_per_page = PER_PAGE
    list_max_show_all = 0
    paginator = BoundedPaginator
    show_facets = ShowFacets.NEVER
    show_full_result_count = False
    sortable_by = ()
    # Django shows the search box where this is not empty; `find` decides what is searched, and by which index.
    search_fields: ClassVar[tuple[str, ...]] = ("pk",)

    def find(self, term: Term) -> Iterable[Rows]:
        """Return the rows that a search term means, in a list for each index that can find some."""
        raise NotImplementedError

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """Return the rows among `queryset` that the term means. The ids come first, each by its own index.

        One statement would leave it to the planner's estimates whether it reads the table instead.
        """
        term = Term(search_term.strip())
        if not (term.text and self.search_fields):
            return queryset, False
        if term.hopeless:
            return queryset.none(), False
        found = {pk for rows in self.find(term) for pk in rows.values_list("pk", flat=True)[:MAX_FOUND]}
        return queryset.filter(pk__in=found), False

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list."""
        request.GET = tamed(request.GET)  # type: ignore[assignment]  # a mutable one is not known to be as good
        return super().changelist_view(request, extra_context)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PagedChangeList]:
        """Return the kind of list."""
        return PagedChangeList

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the order of rows that no filter puts in another one."""
        return self.order.fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow the declared filters only: others of Django's have no index behind them."""
        filters = [spec for spec in self.list_filter if isinstance(spec, type) and issubclass(spec, Choice)]
        return lookup in {spec.parameter_name for spec in filters}

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return what a row's page shows: every field, and the links."""
        return [*(detail(field, self.links) for field in self.opts.concrete_fields), *self.related]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[Any]:
        """Return all that the page shows."""
        return self.get_fields(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Refuse: `enqueue()` and `notify()` add rows."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: the workers change rows."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: retention deletes rows."""
        return False
