"""What has been counted, for the metrics."""

from django.db import models


class Tally(models.Model):
    """What has been counted since counting began: the metrics must not fall when old rows are forgotten."""

    #: What is counted: the name of the metric without its unit.
    metric = models.CharField(max_length=40)
    task = models.CharField(max_length=200)
    queue = models.CharField(max_length=255)
    #: What became of it: a state, an outcome or a reason; empty where the metric has none.
    outcome = models.CharField(max_length=20, db_default="")
    count = models.BigIntegerField(db_default=0)
    seconds = models.FloatField(db_default=0.0)
    #: For durations: how many were at most as long as each bound of `jobs.reports.tallies`.
    buckets = models.JSONField(null=True)

    class Meta:
        verbose_name_plural = "tallies"
        constraints = [
            models.UniqueConstraint(fields=["metric", "task", "queue", "outcome"], name="jobs_tally_once"),
        ]

    def __str__(self) -> str:
        return f"{self.metric} {self.task} {self.queue} {self.outcome}: {self.count}"


class TallyMark(models.Model):
    """Up to when everything has been counted. One row, which is the lock of whoever counts on."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"counted until {self.until}"
