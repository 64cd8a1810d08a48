"""A person signs up, finds the mail in the inbox, follows its link, and is in."""

from playwright.sync_api import Page, expect

from accounts.models import User
from tests.browser.site import Site
from tests.cast import PASSWORD


def sign_up(page: Page, email: str) -> None:
    page.goto("/sign-up/")
    page.get_by_label("Email address").fill(email)
    page.get_by_role("button", name="Mail me a link").click()
    expect(page.get_by_role("heading", name="Check your mail")).to_be_visible()


def test_from_the_form_over_the_inbox_to_the_account(page: Page) -> None:
    page.goto("/")
    page.get_by_role("link", name="Sign up and see one run").click()
    page.get_by_label("Email address").fill("Dora@example.com")
    page.get_by_role("button", name="Mail me a link").click()
    expect(page.get_by_text("A mail is on its way to dora@example.com")).to_be_visible()

    # Whichever is first, mail or page: the list fills itself.
    page.get_by_role("link", name="Open the inbox").click()
    page.get_by_role("link", name="Confirm your email address").click()
    mail = page.frame_locator("iframe")
    with page.context.expect_page() as opened:
        mail.get_by_role("link", name="Confirm and choose a password").click()

    tab = opened.value
    tab.get_by_label("Name").fill("Dora")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Show").click()
    expect(tab.get_by_label("Password")).to_have_attribute("type", "text")
    tab.get_by_role("button", name="Confirm and log in").click()
    expect(tab.get_by_text("Your address is confirmed and you are logged in.")).to_be_visible()
    expect(tab.get_by_role("heading", name="Dora")).to_be_visible()
    assert User.objects.get(email="dora@example.com").is_verified

    tab.get_by_role("button", name="Log out").click()
    expect(tab.get_by_role("link", name="Log in").first).to_be_visible()


def test_a_new_mail_appears_by_itself_and_does_not_move_what_is_being_read(page: Page, site: Site) -> None:
    sign_up(page, "first@example.com")
    page.goto("/inbox/")
    expect(page.locator(".mails a")).to_have_count(1)
    page.keyboard.press("j")
    expect(page.locator(".mails a")).to_be_focused()

    other = page.context.new_page()
    sign_up(other, "second@example.com")
    page.bring_to_front()
    page.get_by_role("button", name="1 new").click()
    expect(page.locator(".mails a").first).to_contain_text("second@example.com")
    expect(page.locator("[data-count]")).to_have_text("2")

    page.get_by_role("button", name="Delete all").click()
    expect(page.get_by_text("2 mails deleted.")).to_be_visible()
    expect(page.get_by_text("No mail yet")).to_be_visible()
    assert site.inbox.ids() == []


def test_the_theme_is_remembered(page: Page, site: Site) -> None:
    page.emulate_media(color_scheme="light")
    page.goto("/")
    page.get_by_role("button", name="Switch to the dark theme").click()
    expect(page.locator("html")).to_have_css("background-color", "rgb(15, 20, 29)")
    page.reload()
    expect(page.locator("html")).to_have_css("background-color", "rgb(15, 20, 29)")
