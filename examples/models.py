"""The tables of the examples.

Type checkers know the managers of installed apps; this one is installed only where EXTRA_APPS names it.
"""

from typing import ClassVar

from django.db import models


class Product(models.Model):
    """Something that is sold."""

    objects: ClassVar[models.Manager["Product"]]

    sku = models.CharField(max_length=40, primary_key=True)
    cents = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.sku


class Order(models.Model):
    """Something that is to be paid; `charge_id` names the payment once it is."""

    objects: ClassVar[models.Manager["Order"]]

    cents = models.PositiveIntegerField()
    #: Each order may be paid at another provider.
    provider_url = models.URLField()
    charge_id = models.CharField(max_length=100, blank=True)

    def __str__(self) -> str:
        return f"order {self.pk}"


class Endpoint(models.Model):
    """Where somebody wants to be told of events, and the secret that signs them."""

    objects: ClassVar[models.Manager["Endpoint"]]

    url = models.URLField()
    secret = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.url
