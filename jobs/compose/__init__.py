"""What follows a job: chains, links, groups and chords."""
