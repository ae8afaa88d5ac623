"""The preferences page and the links to unsubscribe, which a project includes by one line.

path("notifications/", include("pgsupervise.django_app.preference_urls"))
"""

from django.urls import path

from .preferences_views import own, signed
from .unsubscribe_views import one_click

app_name = "pgsupervise_preferences"
urlpatterns = [
    path("", own, name="own"),
    path("unsubscribe/<str:token>/", one_click, name="unsubscribe"),
    path("<str:token>/", signed, name="signed"),
]
