"""Live events, `GET /api/events`: each change of a job's state, as Server-Sent Events.

    change    pure: a change, its place in time, how it is written, which ones a stream wants
    passing   pure: the states that a job passed through between two reads
    tail      reads the ledger by `changed_at`, missing nothing that commits late
    hub       one reader in each web process, for all its streams
    stream    one client: what waits to be sent, and what happens to one that does not take it
    replay    what a client missed while it was away
    access    who may go on listening, and how many may
    view      the address: who may listen, to what

What is promised. Every state in which a job rests longer than the reading interval (`hub.INTERVAL`) is told, within
a quarter of a second of its commit; the last state always is. A state that a job left between two reads is told after
the fact, and marked `passed`, where the ledger still says when it was entered: the first state of a new job, and its
latest attempt. Others (the moment in `queued` between a retry's time and its start) may be left out. A change whose
transaction took longer than two seconds to commit may come two seconds late; longer than a minute, not at all until
the job changes again. An event may come twice, after a reconnection; each says how the job is, so that does no harm.
"""
