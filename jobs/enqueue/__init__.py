"""The producer's side, all that a web process needs.

enqueuer    from a call to a row, in the caller's transaction
message     the wire format
dispatcher  from committed rows to the publisher, off the caller's thread
publisher   the connection to a broker
publishers  which of them hands over whose jobs
set_aside   queues that the broker refuses
producer    the messages that Celery itself makes
tracing     the trace that a job goes on with
"""
