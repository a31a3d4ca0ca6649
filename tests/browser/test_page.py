"""The demo's page in a real Chromium: the walks that a newcomer takes, without a complaint of the browser."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, Response, expect, sync_playwright

from guard.config import Settings
from guard.demo import bank, web
from guard.demo.page import application, serving
from guard.facade import Guard

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        told = f"none of {', '.join(NAMES)} is on the PATH: apt-get install chromium"
        pytest.fail(told) if os.environ.get("CI") else pytest.skip(told)
    with sync_playwright() as driver:
        launched = driver.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--host-resolver-rules=MAP rebound.example 127.0.0.1"],  # a root user has no sandbox
        )
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    settings = Settings.load(bank.build(tmp_path_factory.mktemp("bank")))
    with Guard.open(settings) as guard, serving.listening("127.0.0.1", 0) as bound:
        bank.record(guard.consents)
        at: int = bound.getsockname()[1]
        server = serving.server(application(guard, bank=web.application(guard), port=at))
        running = threading.Thread(target=server.run, kwargs={"sockets": [bound]})
        running.start()
        try:
            while not server.started and running.is_alive():
                time.sleep(0.02)
            yield at
        finally:
            server.should_exit = True
            running.join()


def _failed(request: Request) -> list[str]:
    """What the browser could not have. What it gave up itself, since the page was left or closed, is no failure."""
    return [] if request.failure == "net::ERR_ABORTED" else [f"{request.url} failed: {request.failure}"]


@pytest.fixture
def opened(browser: Browser, port: int) -> Iterator[Open]:
    """Opens the page; what the browser complained of meanwhile fails the test."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def opening(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 800}, "locale": "en-US", **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda said: complaints.append(f"{said.type}: {said.text}"))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("requestfailed", lambda request: complaints.extend(_failed(request)))
        page.add_init_script(
            "document.addEventListener('securitypolicyviolation', e => console.error('CSP', e.violatedDirective))"
        )
        page.goto(f"http://127.0.0.1:{port}/")
        return page

    yield opening
    for context in contexts:
        context.close()
    assert complaints == []


def choose(page: Page, **chosen: str) -> None:
    for name, value in chosen.items():
        page.select_option(f"#{name}", value)


def press(page: Page, do: str) -> Response:
    with page.expect_response(lambda answer: answer.request.method == "POST") as answered:
        page.locator(f'button[value^="{do}"]').last.click()
    return answered.value


def ended(page: Page, how: str) -> None:
    expect(page.locator("#result .outcome")).to_have_attribute("data-ended", how)


def test_a_case_a_colleague_and_no_purpose(opened: Open) -> None:
    page = opened()
    expect(page.locator("#result")).to_contain_text("For example")
    press(page, "read-one")
    ended(page, "reduced")
    expect(page.locator("#result table.upright")).to_contain_text("445***************")
    expect(page.locator("#result .sql b").first).to_contain_text("GRANT(")
    choose(page, actor="officer-chen")
    press(page, "read-one")
    ended(page, "refused")
    expect(page.locator("#result .remedy")).to_contain_text("assigned_case")
    choose(page, actor="officer-lin", purpose="")
    press(page, "read-one")
    ended(page, "refused")
    expect(page.locator("#result .rules")).to_contain_text("GUARD-PURPOSE")


CUT = """() => {
  const select = document.getElementById("person");
  const style = getComputedStyle(select);
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = style.font;
  const arrow = 24;
  const room = select.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - arrow;
  return [...select.options].map((one) => one.text).filter((text) => pen.measureText(text).width > room);
}"""


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_no_person_is_cut_off_whatever_they_did_since(opened: Open, locale: str) -> None:
    page = opened(locale=locale)
    assert page.evaluate(CUT) == []
    for person in ("1012", "1004"):
        choose(page, person=person)
        press(page, "consent-asserted")
        ended(page, "reduced")
        expect(page.locator("#person option:checked")).to_contain_text(
            "· new consent" if locale == "en-US" else "· 新同意"
        )
        assert page.evaluate(CUT) == []


def test_withdrawing_is_seen_at_once(opened: Open) -> None:
    page = opened()
    rows = page.locator("#result .scroll tbody")
    press(page, "read-all")
    expect(rows).to_contain_text("3002")
    choose(page, person="1002")
    press(page, "withdraw")
    ended(page, "allowed")
    expect(page.locator("#person option:checked")).to_contain_text("· withdrew")
    press(page, "read-all")
    expect(rows).to_contain_text("3001")
    expect(rows).not_to_contain_text("3002")


def test_an_export_is_held_approved_and_released_once_and_the_register_grows(opened: Open) -> None:
    page = opened()
    register = page.locator("#register")
    choose(page, actor="marketer-fang", purpose="marketing")
    press(page, "export")
    ended(page, "held")
    expect(register.locator("tbody tr").first).to_contain_text("held")
    press(page, "approve:")
    ended(page, "refused")
    choose(page, actor="officer-he")
    press(page, "approve:")
    ended(page, "allowed")
    press(page, "again:")
    ended(page, "reduced")
    expect(page.locator("#result .scroll tbody tr")).to_have_count(50)
    expect(page.locator("#reviews")).to_be_hidden()
    expect(register.locator("tbody tr").first).to_contain_text("read")
    expect(register.locator('[data-verified="yes"]')).to_be_visible()


def test_the_web_application_answers_and_takes_a_form(opened: Open) -> None:
    page = opened()
    press(page, "web-one")
    ended(page, "reduced")
    expect(page.locator("#result .sides")).to_contain_text('"id_number": "445***************"')
    choose(page, actor="1001")
    press(page, "web-post")
    ended(page, "reduced")
    expect(page.locator("#result .decision tr", has_text="/foreign_worker")).to_contain_text("stripped")
    choose(page, actor="officer-chen")
    press(page, "web-one")
    ended(page, "refused")


def test_sql_by_the_keyboard_alone(opened: Open) -> None:
    page = opened()
    page.focus("#person")
    while page.evaluate("document.activeElement.id") != "sql":
        page.keyboard.press("Tab")
    page.keyboard.type("SELECT nosuch FROM customer")
    page.keyboard.press("Control+Enter")
    ended(page, "refused")
    expect(page.locator("#result .rules")).to_contain_text("GUARD-SQL-COLUMN")
    assert page.evaluate("document.activeElement.id") == "sql"


def test_what_is_typed_is_shown_and_never_run(opened: Open) -> None:
    page = opened()
    page.fill("#sql", "SELECT '<img src=x onerror=alert(1)>' AS \"<b>\", name FROM branch")
    press(page, "sql")
    ended(page, "allowed")
    expect(page.locator("#result .scroll tbody")).to_contain_text("<img src=x")
    assert page.locator("#result img").count() == 0


def test_chinese_keeps_what_was_chosen(opened: Open) -> None:
    page = opened()
    choose(page, actor="officer-chen", person="1004")
    with page.expect_navigation():
        page.click("#language")
    expect(page.locator("h1")).to_have_text("受保护的银行")
    expect(page.locator("#actor")).to_have_value("officer-chen")
    press(page, "read-one")
    ended(page, "reduced")
    expect(page.locator("#result .rules")).to_contain_text("《个人信息保护法》")
    expect(opened(locale="zh-CN").locator("html")).to_have_attribute("lang", "zh-CN")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_small_screen_needs_no_sideways_scrolling_and_is_led_to_the_answer(opened: Open, scheme: str) -> None:
    page = opened(viewport={"width": 400, "height": 800}, color_scheme=scheme, reduced_motion="reduce")
    press(page, "read-all")
    ended(page, "reduced")
    expect(page.locator("#result .outcome")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_what_is_behind_it(opened: Open, scheme: str) -> None:
    """WCAG AA: a contrast of at least 4.5."""
    page = opened(color_scheme=scheme)
    for do, chosen in (
        ("read-one", {}),
        ("read-one", {"actor": "officer-chen"}),
        ("export", {"actor": "marketer-fang", "purpose": "marketing"}),
        ("consent", {"person": ""}),
    ):
        choose(page, **chosen)
        press(page, do)
        page.wait_for_timeout(300)
        assert page.evaluate(FAINT) == []


FAINT = """() => {
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const color = numbers(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color.slice(0, 3);
    }
    return [255, 255, 255];
  };
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility()) continue;
    const color = numbers(getComputedStyle(node).color).slice(0, 3);
    const [a, b] = [light(color), light(behind(node))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) faint.push(texts.currentNode.data.trim().slice(0, 40));
  }
  return [...new Set(faint)];
}"""


def test_everything_that_is_filled_in_or_pressed_has_a_name(opened: Open) -> None:
    page = opened()
    press(page, "read-all")
    nameless = "[...document.querySelectorAll('select, textarea')].filter(one => !one.labels.length).map(one => one.id)"
    assert page.evaluate(nameless) == []
    assert page.locator("button:text-is('')").count() == 0


def test_without_javascript_the_same_page_works(opened: Open) -> None:
    page = opened(java_script_enabled=False)
    choose(page, actor="officer-chen")
    page.click('button[value="read-one"]')
    ended(page, "refused")
    page.click("#language")
    expect(page.locator("h1")).to_have_text("受保护的银行")


def test_no_person_is_in_an_address_or_kept_by_the_browser(opened: Open) -> None:
    page = opened()
    press(page, "read-one")
    ended(page, "reduced")
    assert page.url.endswith("/")
    kept = page.evaluate("[{...localStorage}, {...sessionStorage}, document.cookie]")
    assert kept == [{}, {"htmx-current-path-for-history": "/"}, ""]


def test_a_name_that_was_rebound_here_reads_nothing(browser: Browser, port: int) -> None:
    page = browser.new_page()
    answer = page.goto(f"http://rebound.example:{port}/")
    assert answer is not None
    assert answer.status == 400
    assert "token" not in page.content()
    page.close()


def test_another_site_can_neither_send_a_form_nor_frame_the_page(browser: Browser, port: int) -> None:
    page = browser.new_page()
    page.route("http://elsewhere.example/**", lambda route: route.fulfill(body=_site(port), content_type="text/html"))
    page.goto("http://elsewhere.example/")
    with page.expect_navigation() as sent:
        page.click("button")
    assert sent.value.status == 403
    page.goto("http://elsewhere.example/")
    (framed,) = (frame for frame in page.frames if frame.parent_frame is not None)
    framed.wait_for_load_state()
    assert framed.locator("#ask").count() == 0
    page.close()


def _site(port: int) -> str:
    here = f"http://127.0.0.1:{port}/"
    return (
        f'<form method="post" action="{here}"><input name="do" value="withdraw"><button>win a prize</button></form>'
        f'<iframe src="{here}"></iframe>'
    )
