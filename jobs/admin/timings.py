"""The timings of schedules: django-celery-beat's own pages, which refuse what never comes and show what is there."""

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django_celery_beat.admin import (
    ClockedScheduleAdmin,
    CrontabScheduleAdmin,
    IntervalScheduleAdmin,
    PeriodicTaskInline,
    SolarScheduleAdmin,
)
from django_celery_beat.models import ClockedSchedule, CrontabSchedule, IntervalSchedule, PeriodicTask, SolarSchedule

from jobs.schedules import CannotRun, timing_of, unloadable
from jobs.schedules.wording import expression, in_words

admin.site.unregister([ClockedSchedule, CrontabSchedule, IntervalSchedule, SolarSchedule])


class Loadable:
    """Shows the rows that can be loaded; one that cannot takes no other with it."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Return those."""
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]  # of the page it is mixed into
        return rows.exclude(pk__in=unloadable(rows.model))


class TimingForm(ModelForm):  # type: ignore[type-arg]  # Django's own is no generic class when it runs.
    """Asks for a timing, and refuses one that never comes."""

    #: The field of a schedule that such a timing stands in.
    kind = ""

    def clean(self) -> dict[str, Any]:
        """Let it be read as Beat will: Celery knows how long months are."""
        data: dict[str, Any] = super().clean() or self.cleaned_data
        if self.errors:
            return data
        timing: Model = self._meta.model(**data)
        try:
            timing.clean_fields()
        except ValidationError:
            # The form says so itself, field by field.
            return data
        try:
            timing_of(PeriodicTask(**{self.kind: timing}))
        except CannotRun as exc:
            raise ValidationError(f"This never runs. {exc.faults[self.kind]}") from exc
        return data


class CrontabForm(TimingForm):
    """Asks for a crontab."""

    kind = "crontab"


class IntervalForm(TimingForm):
    """Asks for an interval."""

    kind = "interval"


class UsesInline(Loadable, PeriodicTaskInline):
    """The schedules that use a timing."""


@admin.register(CrontabSchedule)
class CrontabAdmin(Loadable, CrontabScheduleAdmin):
    """Crontabs, each in its own time zone."""

    form = CrontabForm
    inlines = [UsesInline]
    list_display = ("__str__", "in_words")
    fields = ("in_words", "minute", "hour", "day_of_month", "month_of_year", "day_of_week", "timezone")
    readonly_fields = ("in_words",)

    @admin.display(description="in words")
    def in_words(self, crontab: CrontabSchedule) -> str:
        """The crontab in words; the original fails where it has none."""
        return crontab_in_words(crontab)


@admin.register(IntervalSchedule)
class IntervalAdmin(Loadable, IntervalScheduleAdmin):
    """Intervals."""

    form = IntervalForm
    inlines = [UsesInline]


@admin.register(SolarSchedule)
class SolarAdmin(Loadable, SolarScheduleAdmin):
    """Events of the sun."""

    inlines = [UsesInline]


@admin.register(ClockedSchedule)
class ClockedAdmin(Loadable, ClockedScheduleAdmin):
    """Single times."""

    inlines = [UsesInline]


def crontab_in_words(crontab: CrontabSchedule) -> str:
    """Return when a crontab runs, and in which zone."""
    return f"{in_words(expression(crontab))} {crontab.timezone}"
