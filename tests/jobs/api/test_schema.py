"""Schemathesis: whatever a client sends, the API answers as its schema says and never fails."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from django.core.wsgi import get_wsgi_application
from hypothesis import HealthCheck, Phase, settings as bounds
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import positive_data_acceptance

from jobs.api.described import EVENTS_PATH
from jobs.conf import conf
from jobs.core.states import State
from jobs.operations import tokens
from tests.environment import DATABASE
from tests.jobs.letters import letter_of_a_dead_job
from tests.jobs.rows import in_state
from tests.servers import Valkey

#: Requests made up for each operation. With seventeen of them that is a minute on two slow cores.
EXAMPLES = 10

schema = schemathesis.openapi.from_wsgi("/api/openapi.json", get_wsgi_application())
if DATABASE == "sqlite":
    # What its schema refuses the API does not ask a database, and three quarters of the requests are such.
    schema.config.generation.update(modes=[GenerationMode.POSITIVE])


@pytest.fixture
def token(transactional_db: None, valkey: Valkey, settings: object) -> Iterator[str]:
    """Rows of every kind, and a token that may do everything as often as it likes.

    Committed ones: the requests open and close their connections as in production.
    """
    settings.JOBS_API_REQUESTS_PER_MINUTE = 1_000_000  # type: ignore[attr-defined]
    conf.cache_clear()
    for state in State:
        in_state(state)
    letter_of_a_dead_job()
    yield tokens.create("test", ["read", "submit", "operate"], by="test")[1]
    conf.cache_clear()


# A stream has no end to wait for; `tests/jobs/events` has tests of its own.
@schema.exclude(path=EVENTS_PATH).parametrize()
@bounds(
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    deadline=None,
)
def test_the_api_answers_as_its_schema_says(case: schemathesis.Case[Any], token: str) -> None:
    # Which hosts there are is the site's business: it answers before the API is asked.
    case.headers.pop("host", None)
    case.call_and_validate(
        headers={"Authorization": f"Bearer {token}"},
        # Not everything that fits the schema is possible: a task must be public, a cursor one that a page gave out.
        excluded_checks=[positive_data_acceptance],
    )
