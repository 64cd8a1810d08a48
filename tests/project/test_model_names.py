"""What people read of models in the admin is spelled as they write it."""

import re

from django.apps import apps

#: Words that stand in lower case in a name that Django makes of that of a class or field.
ABBREVIATIONS = frozenset(
    {"api", "cpu", "css", "csv", "dns", "html", "http", "ip", "json", "ses", "smtp", "sql", "tls", "uri", "url"}
)

#: A plural that has got no more than an s.
MERE_S = re.compile(r"([^aeiou]y|s|x|z|ch|sh)s$")

MODELS = [
    model
    for app in ("accounts", "jobs", "mail", "notify", "posts", "search", "storage")
    for model in apps.get_app_config(app).get_models()
]


def test_abbreviations_are_in_capitals() -> None:
    names = [str(name) for model in MODELS for name in (model._meta.verbose_name, model._meta.verbose_name_plural)]
    names += [str(field.verbose_name) for model in MODELS for field in model._meta.fields]
    assert "API tokens" in names
    assert [name for name in names if ABBREVIATIONS.intersection(re.split(r"[\W_]+", name))] == []


def test_plurals_are_those_of_the_language() -> None:
    names = [str(model._meta.verbose_name_plural) for model in MODELS]
    assert [name for name in names if MERE_S.search(name)] == []
