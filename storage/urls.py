"""The address of an object."""

from django.urls import path

from storage.views import serve

app_name = "storage"

urlpatterns = [path("<slug:store_name>/<path:key>", serve, name="object")]
