"""How a task is defined: the decorator, `JobTask`, its options, and the tasks known here."""
