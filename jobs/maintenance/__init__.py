"""What every worker does for the ledger besides running jobs; no leader, no extra process.

runner      the threads that do the duties
duties      which ones, and how often; `others` has those that other rooms add
agenda      what the ledger says there is to do
renew       the leases of running jobs
rescue      jobs whose lease ran out
redispatch  what is due, was never dispatched, or whose message was lost; `brokerless` with `ledger://`
cancel      running jobs that an operator wants ended
held_back   jobs that wait for newer code
cleanup     what each app wants deleted, once a week; `retention` says what of the engine's own
"""
