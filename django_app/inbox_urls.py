"""The inbox as JSON, which a project includes by one line.

path("inbox/", include("pgsupervise.django_app.inbox_urls"))
"""

from django.urls import path

from . import inbox_views as views

app_name = "pgsupervise_inbox"
urlpatterns = [
    path("", views.messages, name="messages"),
    path("count/", views.count, name="count"),
    path("read/", views.read, name="read"),
    path("unread/", views.unread, name="unread"),
    path("archive/", views.archive, name="archive"),
    path("unarchive/", views.unarchive, name="unarchive"),
]
