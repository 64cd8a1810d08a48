"""The pages of an account. Each reads a form, calls one service, and answers."""
