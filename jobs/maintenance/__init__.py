"""What every worker does for the ledger besides running jobs; no leader, no extra process."""
