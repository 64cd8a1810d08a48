"""The examples do what they say, with a real worker."""
