"""Development's inbox, as a browser sees it."""

import re
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from mail.inbox.store import Store

INBOX = reverse("inbox:inbox")
NOBODY = "1" * 19 + "-00000000"
pytestmark = pytest.mark.django_db


@pytest.fixture
def store(tmp_path: Path, settings: Settings) -> Store:
    settings.INBOX_DIR = str(tmp_path)
    return Store(tmp_path)


def mail(subject: str = "Hello", html: str = "<p>Hi <b>there</b></p>", attachment: bytes | None = None) -> bytes:
    message = EmailMessage()
    message["From"] = "Night <night@example.com>"
    message["To"] = "jane@example.com"
    message["Subject"] = subject
    message.set_content("See https://example.com/verify/abc/\n")
    if html:
        message.add_alternative(html, subtype="html")
    if attachment is not None:
        message.add_attachment(attachment, maintype="text", subtype="html", filename='re"port.html')
    return b"Return-Path: <bounce@example.com>\r\n" + message.as_bytes()


def test_an_empty_inbox_says_how_to_fill_it(client: Client, store: Store) -> None:
    page = client.get(INBOX).content.decode()
    assert "No mail yet" in page
    assert reverse("accounts:sign-up") in page


def test_the_list_shows_subject_reader_and_time(client: Client, store: Store) -> None:
    store.add(mail("Grüße & <more>"))
    page = client.get(INBOX).content.decode()
    assert "Grüße &amp; &lt;more&gt;" in page
    assert "jane@example.com" in page
    assert "just now</time>" in page


def test_a_mail_opens_beside_the_list_as_html(client: Client, store: Store) -> None:
    mail_id = store.add(mail())
    page = client.get(reverse("inbox:mail", args=[mail_id])).content.decode()
    assert f'<iframe src="{reverse("inbox:frame", args=[mail_id])}"' in page
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page


@pytest.mark.parametrize(
    "view,shown",
    [
        ("text", '<a href="https://example.com/verify/abc/" rel="nofollow">'),
        ("headers", "<dt>Return-Path</dt><dd><code>&lt;bounce@example.com&gt;</code>"),
        ("source", "Content-Type: multipart/alternative"),
    ],
)
def test_a_mail_can_be_seen_in_other_ways(client: Client, store: Store, view: str, shown: str) -> None:
    assert shown in client.get(reverse("inbox:view", args=[store.add(mail()), view])).content.decode()


def test_a_mail_without_html_opens_as_text(client: Client, store: Store) -> None:
    page = client.get(reverse("inbox:mail", args=[store.add(mail(html=""))])).content.decode()
    assert '<pre class="body">See ' in page


def test_the_frame_may_neither_run_nor_load_anything(client: Client, store: Store) -> None:
    mail_id = store.add(mail(html="<script>alert(1)</script><img src=https://tracker.example/>"))
    answer = client.get(reverse("inbox:frame", args=[mail_id]))
    policy = dict(rule.split(" ", 1) for rule in answer["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert policy["img-src"] == "data:"
    assert "script-src" not in policy
    assert policy["frame-ancestors"] == "'self'"
    assert answer["X-Frame-Options"] == "SAMEORIGIN"


def test_an_attachment_is_a_download_whatever_it_is(client: Client, store: Store) -> None:
    mail_id = store.add(mail(attachment=b"<script>alert(1)</script>"))
    page = client.get(reverse("inbox:mail", args=[mail_id])).content.decode()
    path = reverse("inbox:attachment", args=[mail_id, 0])
    assert path in page
    answer = client.get(path)
    assert answer.content.strip() == b"<script>alert(1)</script>"
    assert answer["Content-Type"] == "application/octet-stream"
    assert answer["Content-Disposition"].startswith("attachment;")
    assert client.get(reverse("inbox:attachment", args=[mail_id, 1])).status_code == 404


def test_the_list_alone_is_sent_again_only_when_it_changed(client: Client, store: Store) -> None:
    store.add(mail("First"))
    answer = client.get(reverse("inbox:list"))
    assert "First" in answer.content.decode()
    same = client.get(reverse("inbox:list"), headers={"If-None-Match": answer["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    store.add(mail("Second"))
    assert client.get(reverse("inbox:list"), headers={"If-None-Match": answer["ETag"]}).status_code == 200


def test_all_mails_can_be_deleted_by_post(client: Client, store: Store) -> None:
    store.add(mail())
    path = reverse("inbox:delete-all")
    assert client.get(path).status_code == 405
    assert "1 mail deleted." in client.post(path, follow=True).content.decode()
    assert store.ids() == []


@pytest.mark.parametrize("page", ["mail", "frame"])
def test_a_mail_that_is_gone_is_not_found(client: Client, store: Store, page: str) -> None:
    answer = client.get(reverse(f"inbox:{page}", args=[NOBODY]))
    assert answer.status_code == 404


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff\xfe\x00",
        b"no headers at all",
        b"Content-Type: text/html; charset=no-such-thing\r\n\r\n<p>\xe4</p>",
        b"Subject: =?utf-8?b?broken?=\r\nTo: \r\nContent-Type: multipart/mixed\r\n\r\nx",
        b"Content-Transfer-Encoding: base64\r\n\r\n%%%",
    ],
)
def test_a_malformed_mail_can_be_seen_all_the_same(client: Client, store: Store, raw: bytes) -> None:
    mail_id = store.add(raw)
    assert client.get(INBOX).status_code == 200
    for view in ("html", "text", "headers", "source"):
        assert client.get(reverse("inbox:view", args=[mail_id, view])).status_code == 200
    assert client.get(reverse("inbox:frame", args=[mail_id])).status_code == 200


def test_pages_hold_no_inline_script_or_style(client: Client, store: Store) -> None:
    page = client.get(reverse("inbox:mail", args=[store.add(mail())])).content.decode()
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=", page)
