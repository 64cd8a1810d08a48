"""The only writer of `Job.state`: each verb is one conditional statement, so that a race has one winner.

enqueue   rows come in: inserted by a caller, adopted from a foreign message
claims    a worker takes jobs, each under a lease; batches: what waits beside one; put_back: what has not begun
record    what became of attempts; failures: of those that did not succeed; unwritten: why an end was not written
attempts  what is kept of an attempt, and what is written of it besides its end
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
