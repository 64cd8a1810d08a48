"""Small jobs of the kinds that every site has, each whole: README.md says what each shows, and how to run it."""
