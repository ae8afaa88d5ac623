"""The preferences page, which a project includes by one line.

path("notifications/", include("pgsupervise.django_app.preference_urls"))
"""

from django.urls import path

from .preferences_views import own, signed

app_name = "pgsupervise_preferences"
urlpatterns = [path("", own, name="own"), path("<str:token>/", signed, name="signed")]
