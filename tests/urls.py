"""URLs of the tests' project."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("inbox/", include("pgsupervise.django_app.inbox_urls")),
    path("notifications/", include("pgsupervise.django_app.preference_urls")),
    path("sendgrid/", include("pgsupervise.django_app.sendgrid_urls")),
]
