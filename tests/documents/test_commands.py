"""Every command of the documents that is ours is run, or, where it would not end, read as its program reads it."""

import re
import shlex
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest
from celery import current_app
from celery.bin.base import CLIContext
from celery.bin.celery import celery
from django.conf import settings
from django.core.management import CommandError, call_command, get_commands, load_command_class

from jobs.cli.verb import Exit
from jobs.core.states import State
from jobs.models import Queue
from jobs.operations import tokens
from jobs.operations.tokens import Scope
from tests.jobs.letters import letter_of_a_dead_job
from tests.jobs.rows import in_state

BASE: Path = settings.BASE_DIR
DOCUMENTS = [
    *sorted((BASE / "docs" / "how-to").glob("*.md")),
    *sorted((BASE / "docs").glob("*.md")),
    *(BASE / name for name in ("README.md", "UPGRADING.md", "CONTRIBUTING.md", "examples/README.md")),
]

BLOCK = re.compile(r"^ *```sh\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"`((?:python manage\.py|manage\.py|celery) [^`…]+)`")
ASSIGNMENT = re.compile(r"^[A-Z_]+=\S*$")

#: Programs that are not ours. Whether their arguments are right we cannot ask them here.
FOREIGN = {"heroku", "git", "docker", "kubectl", "pg_dump", "pg_restore", "for", "echo", "make", "EXTRA_APPS=shop"}

#: What would change more than this database, or asks a person.
READ_ONLY = {"migrate", "reindex", "createsuperuser", "shell", "collectstatic"}


#: What is spoken of as a whole stands for its verbs.
NOUNS = [["flow"]]


def commands() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        text = document.read_text()
        lines = [line.strip() for block in BLOCK.findall(text) for line in block.splitlines()]
        for line in (*lines, *INLINE.findall(text)):
            if line and not line.startswith(("#", "…")) and re.match(r"^[A-Za-z_.]+[ =]", line):
                yield document.name, line


def ours(line: str) -> list[str]:
    """Return the words of one of our commands, or of a part of a line that is one; nothing for other programs'."""
    read = shlex.shlex(line.replace(".venv/bin/python", "python"), posix=True, punctuation_chars="|<>&")
    read.whitespace_split, read.commenters = True, ""
    words = list(takewhile(lambda word: word.strip("|<>&"), read))
    while words and ASSIGNMENT.match(words[0]):
        words = words[1:]
    return words[1:] if words[:2] == ["python", "manage.py"] else words


OURS = sorted({(name, line) for name, line in commands() if ours(line)[:1] not in ([one] for one in FOREIGN)})
MANAGED = [(name, line) for name, line in OURS if ours(line)[0] == "manage.py"]
CELERY = [(name, line) for name, line in OURS if ours(line)[0] == "celery"]


@pytest.fixture
def told(db: None) -> dict[str, str]:
    """Rows for the words that stand for something."""
    letter = letter_of_a_dead_job(queue="email")
    in_state(State.QUEUED)
    Queue.objects.get_or_create(name="email")
    for name in ("first", "other"):
        tokens.create(name, [Scope.READ], by="somebody")
    ids = {"JOB_ID": str(letter.job_id), "ID": str(letter.job_id), "LETTER_ID": str(letter.pk), "TOKEN_ID": "1"}
    return {**ids, "NAME": "email"}


@pytest.mark.parametrize("name,line", MANAGED, ids=[f"{name}: {line[:60]}" for name, line in MANAGED])
def test_a_command_of_manage_py_runs(name: str, line: str, told: dict[str, str]) -> None:
    _, command, *arguments = [told.get(word, word) for word in ours(line)]
    if command in READ_ONLY:
        parser = load_command_class(get_commands()[command], command).create_parser("manage.py", command)
        parser.parse_args(arguments)
        return
    if arguments in NOUNS:
        arguments.append("--help")
    if arguments == ["top"]:
        # It would go on until somebody stops it.
        arguments.append("--once")
    assert ended(command, arguments) in {Exit.DONE, Exit.FAILED}


def ended(command: str, arguments: list[str]) -> int:
    """Return how a command ended: not found, or nothing to change, is an answer; a line that is not valid is none."""
    try:
        call_command(command, *arguments)
    except SystemExit as exc:
        # So `--help` ends.
        return int(exc.code or 0)
    except CommandError as exc:
        # What Django's parser refuses it tells so, and leaves the code alone.
        return Exit.USAGE if str(exc).startswith("Error: ") else exc.returncode
    return Exit.DONE


@pytest.mark.parametrize("name,line", CELERY, ids=[f"{name}: {line[:60]}" for name, line in CELERY])
def test_a_command_of_celery_is_one(name: str, line: str) -> None:
    words = ours(line)[1:]
    if words == ["inspect"]:
        words.append("ping")
    with celery.make_context("celery", list(words)) as context:
        context.obj = CLIContext(app=current_app._get_current_object(), no_color=True, workdir=None)
        rest = [*context._protected_args, *context.args]
        verb, command, arguments = celery.resolve_command(context, rest)
        assert command is not None
        command.make_context(verb, arguments, parent=context)


def test_there_is_something_to_run() -> None:
    assert len(MANAGED) > 20
    assert len(CELERY) > 2


def test_every_other_program_is_known() -> None:
    programs = {ours(line)[0] for _, line in commands() if ours(line)} - {"manage.py", "celery", "python"}
    assert programs - FOREIGN == set()
