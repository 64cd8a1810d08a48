"""The form in which addresses reach the database."""

from typing import TYPE_CHECKING, Any

from django.db import models

from mail import addresses
from mail.errors import InvalidMail

if TYPE_CHECKING:
    _EmailField = models.EmailField[str, str]
else:
    _EmailField = models.EmailField  # Generic for the type checker alone.


class CanonicalEmailField(_EmailField):
    """An email address, saved and looked up in its one canonical spelling.

    So `unique=True` ignores case, and `get(email="Jane@EXAMPLE.com")` finds `jane@example.com`, on every database.
    """

    def get_prep_value(self, value: Any) -> Any:
        """Return the canonical spelling. What is no address at all stays as it is: it equals none."""
        prepared = super().get_prep_value(value)
        if not isinstance(prepared, str):
            return prepared
        try:
            return addresses.canonical(prepared)
        except InvalidMail:
            return prepared

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        """Let the instance in hand hold what its row holds."""
        value = self.get_prep_value(super().pre_save(model_instance, add))
        setattr(model_instance, self.attname, value)
        return value
