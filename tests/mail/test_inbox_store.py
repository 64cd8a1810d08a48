"""Caught mails as files."""

import threading
from pathlib import Path

import pytest

from mail.inbox.store import NoSuchMail, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "inbox", keep=3)


def test_mails_are_listed_newest_first_and_read_as_they_came(store: Store) -> None:
    first, second = store.add(b"first"), store.add(b"second")
    assert store.ids() == [second, first]
    assert store.read(first) == b"first"


def test_only_the_newest_are_kept(store: Store) -> None:
    ids = [store.add(b"mail") for _ in range(5)]
    assert store.ids() == ids[:1:-1]


def test_a_directory_that_is_not_there_yet_is_empty(store: Store) -> None:
    assert store.ids() == []
    assert store.clear() == 0


def test_all_can_be_deleted(store: Store) -> None:
    mail_id = store.add(b"mail")
    assert store.clear() == 1
    with pytest.raises(NoSuchMail):
        store.read(mail_id)


@pytest.mark.parametrize("mail_id", ["", "..", "../secret", "1-2", "/etc/passwd", "%2e%2e", "1" * 19 + "-ABCDEF01"])
def test_no_id_leads_out_of_the_directory(store: Store, mail_id: str) -> None:
    (store.directory.parent / "secret.eml").write_text("secret")
    with pytest.raises(NoSuchMail):
        store.read(mail_id)


def test_foreign_and_unfinished_files_are_no_mails(store: Store) -> None:
    mail_id = store.add(b"mail")
    for name in ("notes.txt", "x.eml", f".{mail_id}", f"{mail_id}.eml.bak"):
        (store.directory / name).write_text("x")
    assert store.ids() == [mail_id]


def test_many_may_add_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path, keep=1000)
    threads = [threading.Thread(target=lambda: [store.add(b"x") for _ in range(20)]) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.ids()) == 100
