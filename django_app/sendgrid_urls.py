"""SendGrid's Event Webhook, which a project includes by one line.

path("sendgrid/", include("pgsupervise.django_app.sendgrid_urls"))
"""

from django.urls import path

from .sendgrid_views import events

app_name = "pgsupervise_sendgrid"
# A redirect to the address with the slash would lose the events.
urlpatterns = [path("events/", events, name="events"), path("events", events)]
