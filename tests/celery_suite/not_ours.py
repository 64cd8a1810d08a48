"""Tests that do not pass, each with the reason; one name stands for all parameters of its test. The others pass."""

_GLIMPSE = (
    "it looks every tenth of a second, and fails where it sees that the job runs: STARTED, for the milliseconds of its"
    " attempt, of which Celery's own backends tell only with `task_track_started`"
)
_ONE_ID = "it puts a signature that has run into another canvas; an id is one job, which does not run again"
_PRIVATE = "it reads a private part of Celery's request (`_Request__payload`)"
_RETRY = "`retry()` cannot change what a job was called with: that is its row, the same for all attempts"
_SUCCESSES = (
    "it looks into Celery's list of successful requests, by which a worker passes over repeated messages; here the"
    " ledger does that"
)
_STATES = "a job's state is what its workers have written, and not what somebody stores under an id"
_SUBSCRIBED = "it looks for the channels to which the Redis backend subscribes"
_UNSHOWN = "arguments are in no line of the log: neither those of the call, nor what it gives as `argsrepr`"

NOT_OURS: dict[str, str] = {
    "test_chord.test_chord_on_error": "it reads the keys in which the Redis backend keeps a chord's results",
    "test_chord.test_generator": (
        "it wants a member to run before a generator has yielded the last; a group is written whole or not at all"
    ),
    "test_chord.test_group_or_task_countdown_delays_header": (
        "the members wait as they should, but `request.eta` is None: a job's time is its row's, and no message has one"
    ),
    "test_chord.test_mutable_errback_called_by_chord_from_chain": _ONE_ID,
    "test_chord.test_mutable_errback_called_by_chord_from_chain_tail": _ONE_ID,
    "test_chord.test_mutable_errback_called_by_chord_from_group": _ONE_ID,
    "test_chord.test_nested_chord_group_chain_group_tail": (
        "of a member that is a chain ending in a group, the body gets the results one by one, not in a list"
    ),
    "test_chord.test_reapplying_frozen_chord_dispatches_body_again": (
        "an id is one job, which does not run again: who calls a frozen canvas twice gets the jobs that are there"
    ),
    "test_class_based_tasks.test_class_based_task_retried": (
        "it registers a plain task: nothing is kept of what that returns"
    ),
    "test_stamping_mechanism.test_linking_stamped_sig": _PRIVATE,
    "test_stamping_mechanism.test_stamps_remain_on_task_retry": _RETRY,
    "test_task_redis_result_backend.test_asyncresult_forget_cancels_subscription": _SUBSCRIBED,
    "test_task_redis_result_backend.test_asyncresult_get_cancels_subscription": _SUBSCRIBED,
    "test_task_redis_result_backend.test_ignoring_result_no_subscriptions": (
        "no result of a job is `ignored`: `get()` waits for the end also where no value is kept"
    ),
    "test_task_redis_result_backend.test_retry_preserves_ignore_result_false": _SUCCESSES,
    "test_task_redis_result_backend.test_retry_preserves_ignore_result_true": _SUCCESSES,
    "test_tasks.test_expired": "a job whose time has passed is dead, with a letter to look at, and not revoked",
    "test_tasks.test_reject_with_requeue_redelivers_and_succeeds": (
        "a job that rejects itself runs again, but its message is not `redelivered`: it has none of its own"
    ),
    "test_tasks.test_retry_switches_from_args_to_kwargs": _RETRY,
    "test_tasks.test_retry_switches_from_kwargs_to_args": _RETRY,
    "test_tasks.test_revoke_keeps_state_of_task_started_elsewhere": _STATES,
    "test_tasks.test_revoked_by_headers_complex_canvas": _ONE_ID,
    "test_tasks.test_send_task_without_ignore_result_stores_result": _SUCCESSES,
    "test_tasks.test_send_task_without_ignore_result_uses_task_ignore_result": _SUCCESSES,
    "test_tasks.test_task_retried_once": _RETRY,
    "test_tasks.test_task_retried_once_with_expires": _RETRY,
    "test_tasks.test_wrong_arguments": "arguments that do not fit are refused at the call, `typing=False` or not",
    "test_trace_log_arguments.test_task_failed": _UNSHOWN,
    "test_trace_log_arguments.test_task_success": _UNSHOWN,
}

#: Tests that pass or not, as it happens: one name stands for all parameters.
BY_CHANCE: dict[str, str] = {
    "test_chord.test_mutable_errback_called_by_chord_from_group_fail_multiple_on_body_failure": (
        "it wants 42 error links, each a job of its own, to have run about a second after the first of them: it passes"
        " where the machine does little else"
    ),
    "test_tasks.test_retry": _GLIMPSE,
    "test_tasks.test_retry_with_unpickleable_exception": _GLIMPSE,
}
