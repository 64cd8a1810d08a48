"""The pages of this app: reading, writing, acting on a post, and what crawlers ask for."""
