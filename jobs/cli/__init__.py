"""What `manage.py jobs` can do, one module a group of verbs. `jobs.cli.verbs` lists them."""
