"""Time zones that nobody knows here: a database came from elsewhere, or a release took them away."""

from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from django.core.exceptions import ValidationError
from django_celery_beat.models import CrontabSchedule


class UnknownZone(ZoneInfo):
    """Stands for a zone by its name, and knows no time of it."""

    @classmethod
    def named(cls, name: str) -> "UnknownZone":
        """Return the stand-in of that name."""
        with files("tzdata.zoneinfo").joinpath("UTC").open("rb") as data:
            return cls.from_file(data, key=name)


def read_unknown_zones() -> None:
    """Let crontabs of unknown zones be read, shown and deleted: the field's own way is to raise as it reads them."""
    zone_field: Any = CrontabSchedule._meta.get_field("timezone")  # noqa: SLF001 (Django's public name for it)
    original = zone_field.from_db_value

    def from_db_value(value: Any, *place: Any) -> Any:
        try:
            return original(value, *place)
        except (ValidationError, ValueError, OSError):
            # A name that is no name of a file raises what the file system says.
            return UnknownZone.named(str(value))

    zone_field.from_db_value = from_db_value
