"""Schedules: django-celery-beat's own page, with what comes next, what came of it, and a run-now on record."""

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django_celery_beat.admin import PeriodicTaskAdmin, PeriodicTaskForm
from django_celery_beat.models import CrontabSchedule, PeriodicTask

from jobs.admin.base import may_operate, user_name
from jobs.admin.timings import Loadable, crontab_in_words
from jobs.errors import EnqueueError
from jobs.schedules import CannotRun, coming_runs, entries, entry_of, latest_run, plan_of, run_now, unloadable
from jobs.schedules.encryption import token_of

admin.site.unregister(PeriodicTask)


class ScheduleForm(PeriodicTaskForm):
    """Asks for a schedule, and refuses beside its field what could not be run."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if token_of(self.instance) is not None and "kwargs" in self.fields:
            self.fields["kwargs"].help_text = (
                "They are encrypted, as their task asks, and nobody is shown them. Leave this as it is, or write all"
                " arguments anew in its place."
            )

    def clean_args(self) -> Any:
        """Leave it to `clean`, as everything that `plan_of` reads."""
        return self.cleaned_data["args"]

    def clean_kwargs(self) -> Any:
        """Leave it to `clean`."""
        return self.cleaned_data["kwargs"]

    def clean(self) -> dict[str, Any]:
        """Read it as Beat will."""
        data: dict[str, Any] = ModelForm.clean(self) or self.cleaned_data
        if data.get("regtask"):
            data["task"] = data["regtask"]
            self.errors.pop("task", None)
        fields = {field.name for field in PeriodicTask._meta.fields}  # noqa: SLF001 (Django's public name for it)
        try:
            plan_of(PeriodicTask(**{name: value for name, value in data.items() if name in fields}))
        except CannotRun as exc:
            for name, words in exc.faults.items():
                # Without a timing, or with two, it is refused by the model, in as many words.
                if name and name not in self.errors:
                    self.add_error(name, words)
        return data


@admin.register(PeriodicTask)
class ScheduleAdmin(Loadable, PeriodicTaskAdmin):
    """Schedules, with the engine's own way to run one now."""

    form = ScheduleForm
    # The original's asks the database for the first and last beginning, and fails where one is no time.
    date_hierarchy = None
    list_display = ("name", "enabled", "task", "timing", "next_run", "last_outcome", "one_off")
    list_select_related = ("crontab", "interval", "solar", "clocked")
    readonly_fields = (*PeriodicTaskAdmin.readonly_fields, "coming", "last_outcome")
    fieldsets = (
        *PeriodicTaskAdmin.fieldsets[:2],
        ("Runs", {"fields": ("coming", "last_outcome"), "classes": ("wide",)}),
        *PeriodicTaskAdmin.fieldsets[2:],
    )

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the timings that can be loaded."""
        timings = db_field.related_model
        kwargs["queryset"] = timings.objects.exclude(pk__in=unloadable(timings))
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        """Show the list, and say which schedules cannot be loaded."""
        for entry in entries():
            if not entry.is_loaded:
                messages.error(request, f"Schedule {entry.row.name} cannot run: {entry.fault}")
        return super().changelist_view(request, extra_context)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Show the form, with all crontabs in words; the original fails where one has none."""
        words = {crontab.pk: crontab_in_words(crontab) for crontab in CrontabSchedule.objects.all()}
        context = {**(extra_context or {}), "readable_crontabs": words}
        return super(PeriodicTaskAdmin, self).changeform_view(request, object_id, form_url, context)

    @admin.display(description="translation")
    def crontab_translation(self, schedule: PeriodicTask) -> str:
        """The crontab in words; the original fails for a schedule that has none."""
        return crontab_in_words(schedule.crontab) if schedule.crontab else ""

    @admin.display(description="when")
    def timing(self, schedule: PeriodicTask) -> str:
        """When it runs, as django-celery-beat says it."""
        return entry_of(schedule).timing_text

    @admin.display(description="next run")
    def next_run(self, schedule: PeriodicTask) -> str:
        """When it runs next, in its own time zone, or why it cannot."""
        if not schedule.enabled:
            return "switched off"
        if fault := entry_of(schedule).fault:
            return f"cannot run: {fault}"
        return next((in_its_zone(moment) for moment in coming_runs(schedule, 1)), "never")

    @admin.display(description="next runs")
    def coming(self, schedule: PeriodicTask) -> str:
        """The next five, in its own time zone, or why there are none."""
        if schedule.pk is None:
            return "They show once it is saved."
        if fault := entry_of(schedule).fault:
            return f"It cannot run: {fault}"
        if not schedule.enabled:
            return "It is switched off."
        moments = [(in_its_zone(moment),) for moment in coming_runs(schedule)]
        return format_html_join("", "{}<br>", moments) if moments else "It never runs."

    @admin.display(description="last outcome")
    def last_outcome(self, schedule: PeriodicTask) -> str:
        """What came of its latest run, with a link to the job."""
        run = None if schedule.pk is None else latest_run(schedule)
        if run is None:
            return "It has not run yet."
        when = in_its_zone(run.due_at)
        if run.job_id is None:
            return f"{when}: no job was made; Beat's log says why."
        if (job := run.job) is None:
            return f"{when}: its job has been pruned."
        return outcome(str(job.pk), str(job.state), when)

    def has_operate_permission(self, request: HttpRequest) -> bool:
        """Return whether a person may run schedules."""
        return may_operate(request)

    @admin.action(description="Run now", permissions=["operate"])
    def run_tasks(self, request: HttpRequest, queryset: QuerySet[PeriodicTask]) -> None:
        """Enqueue the jobs of the schedules chosen, beside their regular runs."""
        for schedule in queryset:
            try:
                job_id = run_now(schedule, actor=user_name(request))
            except EnqueueError as exc:
                messages.error(request, f"{schedule.name}: {exc}")
            else:
                messages.success(request, f"{schedule.name} runs now, as job {job_id}.")


def in_its_zone(moment: Any) -> str:
    """Return a time with its zone: `Sat 2026-11-28 04:00 UTC`."""
    return f"{moment:%a %Y-%m-%d %H:%M %Z}"


def outcome(job_id: str, state: str, when: str) -> SafeString:
    """Return a run's outcome with a link to its job."""
    return format_html('<a href="{}">{}</a>, {}', reverse("jobs:job", args=[job_id]), state, when)
