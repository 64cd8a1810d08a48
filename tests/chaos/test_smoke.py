"""A few seconds of chaos in every run of the tests; `make chaos` has the minutes."""

from pathlib import Path

import pytest

from tests.chaos.report import text
from tests.chaos.run import run
from tests.chaos.site import Site
from tests.databases import Database
from tests.servers import Valkey


@pytest.mark.timeout(240)
def test_every_job_is_accounted_for(database: Database, valkey: Valkey, tmp_path: Path) -> None:
    with Site(database, valkey.url, tmp_path, count=2) as site:
        story = run(site, seed=11, seconds=8, rate=6, tell=print, enqueuers=1)
    assert min(story.account.committed, story.account.bodies, story.openings) > 0
    assert story.is_clean, text(story, f"{database.vendor} and valkey")
