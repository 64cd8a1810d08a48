"""The producer's side, all that a web process needs: from a call to a row, from a row to a message."""
