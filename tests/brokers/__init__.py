"""One contract, run on every broker; what differs between them; and the way from one to another."""
