"""What type checkers say of calls: examples, good and bad, and the test that runs mypy and pyright on them."""
