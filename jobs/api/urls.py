"""The API, put together."""

from django.urls import URLPattern, re_path

from jobs.api import dead_letters, flow, groups, jobs, limits, queues, webhooks
from jobs.api.answers import Documentation, JsonParser, JsonRenderer, ProblemApi, finished, handle_problems, nowhere

api = ProblemApi(
    title="Nightshift",
    version="1",
    description=(
        "Submit jobs and watch them; find what failed and mend it.\n\n"
        "Every error is `application/problem+json` and names the fields at fault, their values and the rules. "
        "`RateLimit-*` headers say how many requests are left in this minute."
    ),
    docs=Documentation(),
    parser=JsonParser(),
    renderer=JsonRenderer(),
    urls_namespace="api",
)
handle_problems(api)
api.add_router("/jobs", jobs.router)
api.add_router("/groups", groups.router)
api.add_router("/dead-letters", dead_letters.router)
api.add_router("/flow", limits.router)
api.add_router("/flow", flow.router)
api.add_router("/webhooks", webhooks.router)
api.add_router("", queues.router)

_patterns, _, _ = api.urls
for _pattern in _patterns:
    if isinstance(_pattern, URLPattern) and _pattern.name == "api-root":
        _pattern.callback = nowhere
    elif isinstance(_pattern, URLPattern) and _pattern.name != "openapi-view":
        _pattern.callback = finished(_pattern.callback)

app_name = "api"
urlpatterns = [*_patterns, re_path(r"[\s\S]*", nowhere)]
