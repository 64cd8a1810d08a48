"""What about the settings of the project may be a mistake, said at start and by `manage.py check`."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning as CheckWarning, register


@register("project")
def check_proxies(**_: Any) -> list[CheckMessage]:
    """Warn where the limits on attempts would be counted for the wrong visitor."""
    if settings.SECURE_PROXY_SSL_HEADER and not settings.FORWARDED_ALLOW_IPS:
        return [
            CheckWarning(
                "BEHIND_PROXY is set and FORWARDED_ALLOW_IPS is not: unless the proxy is at 127.0.0.1, all visitors "
                "share one limit on log-ins and mails.",
                hint="Set FORWARDED_ALLOW_IPS to the proxy's addresses or networks, such as 10.0.0.0/8.",
                id="project.W001",
            )
        ]
    if settings.FORWARDED_ALLOW_IPS == ["*"]:
        return [
            CheckWarning(
                "FORWARDED_ALLOW_IPS is *: whoever sends X-Forwarded-For says for whom attempts are counted.",
                hint="Name the proxy's addresses or networks, unless it discards the header that visitors send.",
                id="project.W002",
            )
        ]
    return []
