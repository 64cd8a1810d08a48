"""`top`: what is going on, live, in a terminal."""

from argparse import ArgumentParser, ArgumentTypeError

from jobs.cli.output import Output
from jobs.cli.verb import Exit, Given, Verb


def _arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--every", type=_seconds, default=1.0, metavar="SECONDS", help="how often it looks (1)")
    parser.add_argument("--once", action="store_true", help="print one picture and end")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0
    if not 0.2 <= seconds <= 3600:
        raise ArgumentTypeError(f"{text!r} is not valid: it must be seconds, from 0.2 to 3600.")
    return seconds


def _top(given: Given, out: Output) -> Exit:
    # Rich comes with it, which no other verb draws with.
    from jobs.cli import picture  # noqa: PLC0415

    if given["once"]:
        picture.show(out.stream)
    else:
        picture.watch(out.stream, every=given["every"])
    return Exit.DONE


VERBS = [Verb(("top",), "watch what is going on, live", _top, _arguments)]
