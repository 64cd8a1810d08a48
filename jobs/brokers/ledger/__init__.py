"""`ledger://`, which needs no broker: the database itself carries the messages.

transport    one connection, driven by the worker's event loop or by whoever drains it
channel      publishing, consuming, settling
fetcher      what waits in the database for a connection's consumers, and when to look
delivery     rows as Kombu's envelopes
listening    short-lived queues: remote control and events
messages     the table of all that is no job
database     the connections; PostgreSQL's notifications, SQLite's change counter
"""
