"""Tests that do not pass, each with the reason. The others pass."""

NOT_OURS: dict[str, str] = {
    "test_chord.test_chord_on_error": "it reads the keys in which the Redis backend keeps a chord's results",
    "test_chord.test_generator": (
        "it wants a member to run before a generator has yielded the last; a group is written whole or not at all"
    ),
    "test_chord.test_group_or_task_countdown_delays_header": (
        "the members wait as they should, but `request.eta` is None: a job's time is its row's, and no message has one"
    ),
    "test_chord.test_nested_chord_group_chain_group_tail": (
        "of a member that is a chain ending in a group, the body gets the results one by one, not in a list"
    ),
    "test_chord.test_reapplying_frozen_chord_dispatches_body_again": (
        "an id is one job, which does not run again: who calls a frozen canvas twice gets the jobs that are there"
    ),
}
