"""The Django app of the job engine."""

from celery import current_app
from django.apps import AppConfig
from django.conf import settings

from jobs.enqueue import tracing


class JobsConfig(AppConfig):
    """The engine; it knows no other app of the project."""

    name = "jobs"
    verbose_name = "Jobs"

    def ready(self) -> None:
        """Put the engine together, register its checks and what of its own is deleted; trace where told to."""
        # Apps must be loaded; importing the checks registers them.
        from jobs import celery, checks  # noqa: F401, PLC0415
        from jobs.alerts import channels, watch, webhooks  # noqa: PLC0415
        from jobs.compose import builtins, canvas  # noqa: F401, PLC0415 (those take the place of Celery's own tasks)
        from jobs.enqueue import enqueuer  # noqa: PLC0415
        from jobs.maintenance import others, retention  # noqa: PLC0415
        from jobs.models import times  # noqa: PLC0415
        from jobs.observability.masking import masked  # noqa: PLC0415
        from jobs.schedules import encryption, zones  # noqa: PLC0415
        from jobs.tasks.task import JobTask  # noqa: PLC0415
        from jobs.webhooks import tasks as webhooks_tasks  # noqa: F401, PLC0415 (registers the task)
        from jobs.worker import attempt_logs  # noqa: PLC0415

        JobTask.enqueuer = enqueuer
        canvas.install()
        celery.leave_django_alone(current_app)
        retention.register_cleaners()
        channels.register_alert_channel("slack", webhooks.send_to_slack)
        others.register_duty("alerts", watch.look, watch.EVERY)
        attempt_logs.mask_by(masked)
        zones.read_unknown_zones()
        encryption.encrypt_on_save()
        times.read_far_times()
        tracing.configure(service=settings.PROJECT_NAME)
