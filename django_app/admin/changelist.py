"""Lists whose every page reads a bounded part of an index: they do not count, and they end after 10,000 rows."""

from typing import TYPE_CHECKING, Any

from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.db.models.expressions import Combinable
from django.http import HttpRequest
from django.utils.functional import cached_property

from .filters import NEWEST, Choice, Order, Rows

if TYPE_CHECKING:
    from .readonly import ReadOnlyAdmin

    Pages = Paginator[Any]
else:
    Pages = Paginator

PER_PAGE = 100
MAX_PAGES = 100
WINDOW = PER_PAGE * MAX_PAGES
"""Rows that one list can show, and rows that a filter without an index looks at."""


class BoundedPaginator(Pages):
    """Counts no further than a list goes. The lists do not use it, but other views of Django's ask an admin for it."""

    @cached_property
    def count(self) -> int:
        """Return the number of rows, or the bound."""
        rows = self.object_list[:WINDOW]
        return rows.count() if isinstance(rows, QuerySet) else len(rows)


class PagedChangeList(ChangeList):
    """A list in pages, with the next one known from a row more than a page holds."""

    model_admin: "ReadOnlyAdmin"
    note: str
    newer_url: str | None
    older_url: str | None
    ends_here: bool

    def get_queryset(self, request: HttpRequest, exclude_parameters: list[str | None] | None = None) -> Rows:
        """Return the rows that fit, without the columns that are too large for a list."""
        rows: Rows = super().get_queryset(request, exclude_parameters).defer(*self.model_admin.deferred)
        order = self._served_by()
        self.note = (order or NEWEST).words
        if order is None:
            self.note = f"newest first, among the newest {WINDOW:,}"
            rows = rows.filter(id__gte=self._floor(request))
        return rows

    def get_ordering(self, request: HttpRequest, queryset: Rows) -> list[str | Combinable]:
        """Return the order of the index that serves the list. The address cannot ask for another one."""
        return list((self._served_by() or NEWEST).fields)

    def _active(self) -> list[Choice]:
        return [spec for spec in self.filter_specs if isinstance(spec, Choice) and spec.value() is not None]

    def _served_by(self) -> Order | None:
        """Return the order in which an index holds just the rows that fit; None when there is no such index."""
        active = self._active()
        if self.model_admin.small or self.query.strip() or not active:
            return self.model_admin.order
        if narrow := next((spec for spec in active if spec.narrow), None):
            return narrow.order() or self.model_admin.order
        return active[0].order() if len(active) == 1 else None

    def _floor(self, request: HttpRequest) -> int:
        """Return the id that the list goes down to: rows that fit may be rare, and looking for them has to end."""
        rows = self.root_queryset
        for spec in self._active():
            if spec.order() is NEWEST:
                rows = spec.queryset(request, rows)
                break
        # As a query of its own: the planner then sees a constant, and how few rows lie above it.
        ids = rows.order_by(*NEWEST.fields).values_list("id", flat=True)[WINDOW - 1 : WINDOW]
        return next(iter(ids), 0)

    def get_results(self, request: HttpRequest) -> None:
        """Read one page and one row more, in place of Django's counts."""
        page = min(max(self.page_num, 1), MAX_PAGES)
        start = (page - 1) * PER_PAGE
        found: list[Model] = list(self.queryset[start : start + PER_PAGE + 1])
        more = len(found) > PER_PAGE
        self.page_num = page
        self.result_list = found[:PER_PAGE]
        self.newer_url = self.get_query_string({PAGE_VAR: page - 1}) if page > 1 else None
        self.older_url = self.get_query_string({PAGE_VAR: page + 1}) if more and page < MAX_PAGES else None
        self.ends_here = more and page == MAX_PAGES
        # Equal, so that Django's templates show neither.
        self.result_count = self.full_result_count = len(self.result_list)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = bool(self.model_admin.actions)
        self.paginator = self.model_admin.get_paginator(request, self.result_list, PER_PAGE)
