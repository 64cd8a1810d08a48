"""What the documents say works: the examples and the tutorial run, commands are right, the site is built."""
