"""From a message to its HTML and its plain text.

Two steps, so that MJML never sees a value and nobody waits for MJML:

1. *Compile*, once per process and template: the MRML engine turns the MJML of layout and message into HTML. Django's
   tags are plain text to it and come out untouched.
2. *Fill*, once per message: Django's engine fills that HTML, escaping every value, in the reader's language.
"""

import re
from dataclasses import dataclass
from functools import cache

import mrml
from django.conf import settings
from django.template import Context, Engine, Template
from django.utils import translation

from mail.messages import Message

LAYOUT = "mail/layout.mjml"
MESSAGE_GOES_HERE = "<!-- message -->"

#: By default MRML has readers fetch fonts from a third party, which would learn who reads which mail when.
NO_WEB_FONTS: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message's words, ready to travel."""

    subject: str
    text: str
    html: str


def render(message: Message) -> Rendered:
    """Return the message's words in the reader's language.

    Raises TemplateDoesNotExist where one of its two templates is missing, OSError where its MJML is malformed.
    """
    with translation.override(message.language):
        subject = str(message.subject)
        values = {
            "project": settings.PROJECT_NAME,
            "site": settings.FRONTEND_HOST,
            "subject": subject,
            "language": message.language,
            **message.context,
        }
        return Rendered(
            subject=subject,
            text=_tidy(_text_template(message.template).render(Context(values, autoescape=False))),
            html=_html_template(message.template).render(Context(values)),
        )


def _tidy(text: str) -> str:
    """Return `text` without the empty lines that template tags leave behind."""
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


@cache
def _html_template(name: str) -> Template:
    engine = Engine.get_default()
    # Not by MRML's own include, which loses the padding of what it includes.
    source = _source(engine, LAYOUT).replace(MESSAGE_GOES_HERE, _source(engine, f"{name}.mjml"))
    output = mrml.to_html(source, render_options=mrml.RenderOptions(fonts=NO_WEB_FONTS))
    return Template(output.content, name=f"{name}.mjml", engine=engine)


@cache
def _text_template(name: str) -> Template:
    return Engine.get_default().get_template(f"{name}.txt")


def _source(engine: Engine, name: str) -> str:
    return str(engine.get_template(name).source)
