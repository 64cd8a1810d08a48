"""The operator's pages at `/jobs/`: rendered by the server, kept true by live events where a browser runs scripts.

access        who may look, who may act
pages         what every page has
overview, jobs, job, dead_letters, queues, schedules, workers, history    one module for each page
actions       what a page's buttons do: one address for each verb
verdict, timeline, charts, tracebacks, fingerprints    pure: from rows to what is shown
"""
