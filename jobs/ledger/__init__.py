"""The only writer of `Job.state`: each verb is one conditional statement, so that a race has one winner.

enqueue   rows come in: inserted by a caller, adopted from a foreign message
attempts  a worker claims a job and records what became of it
maintain  maintenance: what is due, lost or overdue
operate   what a person or program asks for: retry, cancel
"""
