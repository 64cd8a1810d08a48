"""What people can do, once, for all interfaces: actions, filters, search language, paging, what is shown of a row."""
