"""The addresses of the dashboard, below `/jobs/`."""

from django.urls import path

from jobs.dashboard import (
    actions,
    corrections,
    dead_letters,
    flow,
    group,
    history,
    job,
    jobs,
    limits,
    new_job,
    overview,
    queues,
    schedules,
    steering,
    workers,
)

app_name = "jobs"

urlpatterns = [
    path("", overview.overview, name="overview"),
    path("list/", jobs.jobs, name="jobs"),
    path("new/", new_job.new_job, name="new-job"),
    path("<uuid:job_id>/", job.job, name="job"),
    path("<uuid:job_id>/json", job.job_as_json, name="job-json"),
    path("groups/<uuid:group_id>/", group.group, name="group"),
    path("retry", actions.retry, name="retry"),
    path("cancel", actions.cancel, name="cancel"),
    path("discard", actions.discard_jobs, name="discard-jobs"),
    path("dead/", dead_letters.groups, name="dead-letters"),
    path("dead/list/", dead_letters.dead_letter_list, name="dead-letter-list"),
    path("dead/<uuid:letter_id>/", dead_letters.dead_letter, name="dead-letter"),
    path("dead/<uuid:letter_id>/replay", corrections.replay_corrected, name="replay-corrected"),
    path("dead/replay", actions.replay, name="replay"),
    path("dead/discard", actions.discard, name="discard"),
    path("queues/", queues.queues, name="queues"),
    path("queues/<str:name>/", queues.queue, name="queue"),
    path("queues/<str:name>/pause", steering.pause, name="pause"),
    path("queues/<str:name>/resume", steering.resume, name="resume"),
    path("flow/", flow.flow, name="flow"),
    path("flow/breakers/<str:name>/open", flow.open_breaker, name="open-breaker"),
    path("flow/breakers/<str:name>/close", flow.close_breaker, name="close-breaker"),
    path("flow/limit", limits.limit, name="flow-limit"),
    path("flow/reset", limits.reset, name="flow-reset"),
    path("flow/pause", limits.pause, name="flow-pause"),
    path("flow/resume", limits.resume, name="flow-resume"),
    path("flow/weight", limits.weight, name="flow-weight"),
    path("schedules/", schedules.schedules, name="schedules"),
    path("schedules/<int:schedule_id>/run", steering.run, name="run"),
    path("schedules/<int:schedule_id>/enable", steering.enable, name="enable"),
    path("schedules/<int:schedule_id>/disable", steering.disable, name="disable"),
    path("workers/", workers.workers, name="workers"),
    path("history/", history.history, name="history"),
]
