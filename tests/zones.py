"""The time zones, read once: to find their names takes thousands of looks at files, and to read them 600 more.

`timezone_field` does both as each process starts, django-celery-beat the first for each crontab that is made.
"""

import zoneinfo

_NAMES = zoneinfo.available_timezones()
#: What nobody holds, `zoneinfo` forgets.
_HELD = [zoneinfo.ZoneInfo(name) for name in _NAMES]

# A set for each caller, as before: some take names out of theirs.
zoneinfo.available_timezones = _NAMES.copy
