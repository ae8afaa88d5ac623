"""A page with what would be sent of an open batch: looked at, never sent, and nothing of it executed."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils.html import format_html

from pgsupervise.django_app.models import Batch
from pgsupervise.django_app.previewing import SealedError, preview

from .display import EMPTY, cell
from .filters import Admin
from .terms import parse_id

URL_NAME = "pgsupervise_batch_preview"


def _link(batch: Batch) -> str:
    if batch.sealed_at is not None:
        return EMPTY
    try:
        url = reverse(f"admin:{URL_NAME}", args=[batch.pk])
    except NoReverseMatch:
        return EMPTY
    return format_html('<a href="{}">what would be sent now</a>', url)


preview_link = cell("preview", _link)


class PreviewMixin(Admin):
    """Adds the page to the admin of batches."""

    def get_urls(self) -> list[Any]:
        """Return the page's URL, and the others."""
        page = path("<path:object_id>/preview/", self.admin_site.admin_view(self.preview_view), name=URL_NAME)
        return [page, *super().get_urls()]

    def preview_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the page to whoever may see the batch.

        The message's HTML is a document of its own in a sandbox without any right: no script of it runs, no form of it
        is sent, and it reaches neither this page nor its cookies. It may load pictures, as a mail program does.
        """
        pk = parse_id(object_id)
        batch = None if pk is None else Batch.objects.filter(pk=pk).first()
        if not self.has_view_permission(request, batch):
            raise PermissionDenied
        if batch is None:
            raise Http404("there is no such batch")
        try:
            shown = preview(batch)
        except SealedError as fault:
            raise Http404(str(fault)) from None
        context = {
            **self.admin_site.each_context(request),
            "title": f"What would be sent now of {batch}",
            "opts": self.opts,
            "preview": shown,
        }
        return TemplateResponse(request, "admin/pgsupervise/preview.html", context)
