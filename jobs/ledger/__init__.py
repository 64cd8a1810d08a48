"""The only writer of `Job.state`: each verb is one conditional statement, so that a race has one winner.

enqueue   rows come in; enqueue_once: those that may be there; unique: by their keys; adopt: for a foreign message
claims    a worker takes jobs, each under a lease; batches: what waits beside one; put_back: what has not begun
leases    who holds a job, for how long, and whose time ran out
record    what became of attempts; failures: of those that did not succeed; unwritten: why an end was not written
attempts  what is kept of an attempt, and what is written of it besides its end
groups    the members of groups, counted; new_group: how groups come in and grow
rules     limits; lines: who waits for one; turns: of tenants; breakers: of dependencies; renames: of tasks
hold      jobs that are held back, and why
fetch     with `ledger://`: rows for delivery
notify    with `ledger://`: waking who waits for rows
waiters   who waits for the end of a job, and is told of it
wakeup    a pipe that wakes whoever waits for a connection
maintain  maintenance: what is due, was never dispatched, got lost; work: which of that there is
operate   what a person or program asks for: retry, cancel; pauses: those that end by themselves
steps     what a task has done, and need not do again
webhooks  which webhooks are told of what
prune     ended jobs past their retention
sql       what statements have in common, and how they are run; dialect: what the databases say differently;
          lock_timeout: waiting for a row, and not for long
"""
