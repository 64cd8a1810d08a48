"""The only writer of `Job.state`: each verb is one conditional statement, so that a race has one winner.

enqueue   rows come in: inserted by a caller, adopted from a foreign message
attempts  a worker claims a job and records what became of it
hold      jobs that are held back, and why
fetch     with `ledger://`: rows for delivery
notify    with `ledger://`: waking who waits for rows
waiters   who waits for the end of a job, and is told of it
wakeup    a pipe that wakes whoever waits for a connection
maintain  maintenance: what is due, lost or overdue
operate   what a person or program asks for: retry, cancel
unique    unique keys
steps     what a task has done, and need not do again
prune     ended jobs past their retention
sql       what the databases say differently
"""
