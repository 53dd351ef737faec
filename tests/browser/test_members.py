"""Anna asks Ben to help, and later does without him."""

import secrets

from playwright.sync_api import Page, expect

from app.sharing import service as sharing
from tests.browser import pictures
from tests.browser.conftest import Phone, image_addresses, photos, pick, tap
from tests.browser.server import Instance
from tests.browser.test_main_job import make_album, share
from tests.conftest import PASSWORD, Family

SECRETS = ("Anna", "Ben", "Smith", "Brittany", "/m/")


def invite(anna: Page, name: str, role: str = "Editor") -> str:
    """An invitation from its page: the address that is shown this once."""
    anna.goto("/members")
    anna.get_by_role("link", name="Invite somebody").click()
    anna.get_by_label("Who is it for?").fill(name)
    anna.get_by_text(f"{role}: ").click()
    tap(anna, "Make the invitation")
    return anna.get_by_label("The link", exact=True).input_value()


def join(page: Page, name: str, email: str) -> None:
    """The form behind an invitation, as the person it is for fills it in."""
    for label, text in (("Your name", name), ("Your e-mail", email), ("A password", PASSWORD)):
        page.get_by_label(label).fill(text)
    tap(page, "Join")
    expect(page.get_by_role("heading", name="The Smiths")).to_be_visible()


def test_ben_is_invited_adds_an_album_and_is_removed_with_his_links(server: Instance, phone: Phone, family: Family) -> None:
    anna, ben, rose = phone(member=family.cookie), phone(), phone()

    link = invite(anna, "Ben")
    expect(anna.get_by_role("heading", name="The invitation for Ben is ready")).to_be_visible()
    anna.get_by_role("button", name="Copy the link").click()
    expect(anna.get_by_role("status")).to_contain_text("Copied")

    neutral = ben.goto(link)
    assert neutral is not None
    words = ben.get_by_role("main").inner_text().replace("know you: Anna", "")  # the example of a name
    assert not [word for word in SECRETS if word in words]
    join(ben, "Ben", f"ben-{secrets.token_hex(6)}@example.org")
    gone = phone().goto(link)
    assert gone is not None and gone.status == 404, "it works once"

    make_album(ben, "The allotment")
    pick(ben, ("IMG_1.jpg", pictures.tiny(1)))
    expect(photos(ben)).to_have_count(1, timeout=30_000)
    kept = image_addresses(ben)
    rose_link = share(ben, "Rose")
    rose.goto(rose_link)
    tap(rose, "Open the photos")
    expect(rose.get_by_role("link", name="The allotment")).to_be_visible()

    ben.goto("/account")
    ben.get_by_role("link", name="Members").click()
    expect(ben.get_by_text("Editor, since")).to_be_visible()
    expect(ben.get_by_role("link", name="Invite somebody")).to_have_count(0)
    refused = ben.goto("/members/invite")
    assert refused is not None and refused.status == 404

    anna.goto("/account")
    anna.get_by_role("link", name="Activity").click()
    expect(anna.get_by_text("Ben shared The allotment with Rose")).to_be_visible()
    expect(anna.get_by_text("Ben joined, invited by Anna")).to_be_visible()

    anna.goto("/members")
    anna.get_by_role("link", name="Remove Ben").click()
    expect(anna.get_by_role("checkbox", name="Rose").first).to_be_checked()
    tap(anna, "Remove")
    expect(anna.get_by_role("heading", name="Members")).to_be_visible()
    expect(anna.get_by_text("Ben", exact=True)).to_have_count(0)

    for page, address in ((ben, "/albums"), (ben, kept[0]), (rose, "/shared"), (rose, rose_link), (phone(), rose_link)):
        answer = page.goto(address)
        assert answer is not None and answer.status == 404, address
    anna.goto("/albums")
    expect(anna.get_by_role("link", name="The allotment")).to_be_visible()
    with server.house.database.reading() as session:
        assert len(sharing.guest_page(session, family.owner).guests) == 1, "Rose is still somebody whom Anna can share with"
