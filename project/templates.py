"""The templates of the project, loaded at once: what is wrong with one is known before a page needs it."""

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.template import TemplateDoesNotExist, TemplateSyntaxError, engines


def load_all() -> list[str]:
    """Load every template of the project, for as long as this process runs; return what is wrong with which."""
    problems = []
    for name in _names():
        try:
            engines["django"].get_template(name)
        except (TemplateSyntaxError, TemplateDoesNotExist, UnicodeDecodeError) as exc:
            problems.append(f"{name}: {type(exc).__name__}: {exc}")
    return problems


def _names() -> Iterator[str]:
    """Return the names of the templates that lie in folders of the project, and not in those of its packages."""
    for folder in map(Path, engines["django"].template_dirs):
        if folder.is_relative_to(settings.BASE_DIR) and "site-packages" not in folder.parts:
            yield from sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*") if _is_template(path))


def _is_template(path: Path) -> bool:
    # An editor keeps what it has open in hidden files beside it.
    return path.is_file() and not path.name.startswith(".") and not path.name.endswith("~")
