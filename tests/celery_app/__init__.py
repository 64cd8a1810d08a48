"""An application of plain Celery tasks, as a project has them before it comes to `@job`. Left out unless asked for."""
