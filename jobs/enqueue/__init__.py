"""The producer's side, all that a web process needs.

enqueuer           from a call to a row, in the caller's transaction
carried            what the row keeps of a call
gathering          members of groups
parents            for which job a job is enqueued
message            the wire format; reading: what a worker reads of it
dispatcher         from committed rows to the publisher, off the caller's thread; dispatch_notes: what was sent
publisher          messages to a broker; broker_connection: the connection to it
publishers         which of them publishes whose jobs; brokers: which queue is whose
set_aside          queues that the broker refuses
publish_signals    Celery's signals around a message
producer           the messages that Celery itself makes
tracing            the trace that a job goes on with
"""
