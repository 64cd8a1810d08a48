"""Migrated databases that several runs of the tests copy, side by side: `python -m tests.templates FOLDER` makes them.

Where `TEST_TEMPLATES` names that folder, a run copies what is there; else it makes its own.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.environment import TEMPLATE, environment
from tests.servers import Postgres


def make(folder: Path) -> None:
    """Fill `folder` with a PostgreSQL cluster and an SQLite database that are up to date."""
    with ThreadPoolExecutor() as pool:
        sqlite = pool.submit(migrate, f"sqlite:///{folder / 'nightshift.sqlite3'}")
        make_cluster(environment.postgres)
        sqlite.result()
    environment.postgres.stop()
    shutil.move(environment.postgres.data, folder / "postgres")


def make_cluster(postgres: Postgres) -> None:
    """Give a cluster the template."""
    migrate(postgres.start().url(postgres.create_database(TEMPLATE)))


def migrate(url: str) -> None:
    """Bring a database up to date in a process of its own, as a release does."""
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "--verbosity", "0"],
        check=True,
        env={**os.environ, "DATABASE_URL": url},
        cwd=Path(__file__).parent.parent,
    )


if __name__ == "__main__":
    os.environ.update(environment.variables())
    make(Path(sys.argv[1]))
