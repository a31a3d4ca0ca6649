"""The demo's page: what may reach it, and that what it shows is what the guard did."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode

import pytest
import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from guard.config import Settings
from guard.demo import bank, web
from guard.demo.page import application, choices, desk, serve, serving
from guard.demo.page.asked import LONGEST
from guard.demo.page.fence import hosts
from guard.demo.page.words import WORDS
from guard.draft import Kind
from guard.errors import Misuse
from guard.facade import Guard

HERE = "http://127.0.0.1:8000"
OWN = {"origin": HERE, "sec-fetch-site": "same-origin"}


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guard]:
    settings = Settings.load(bank.build(tmp_path_factory.mktemp("bank")))
    with Guard.open(settings) as opened:
        bank.record(opened.consents)
        yield opened


class Visitor:
    """A browser at the page: it holds the form's token and presses buttons."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.token = re.search(r'name="token" value="([^"]+)"', client.get("/").text)[1]  # type: ignore[index]

    def press(self, do: str, *, headers: dict[str, str] | None = None, **chosen: str) -> str:
        fields = {
            "token": self.token,
            "lang": "en",
            "actor": "officer-lin",
            "purpose": "loan_underwriting",
            "person": "1001",
            "sql": "",
            **chosen,
            "do": do,
        }
        answer = self.client.post("/", data=fields, headers={**OWN, "hx-request": "true", **(headers or {})})
        assert answer.status_code == 200, answer.text
        return answer.text


@pytest.fixture
def client(guard: Guard) -> TestClient:
    return TestClient(application(guard), base_url=HERE)


@pytest.fixture
def visitor(client: TestClient) -> Visitor:
    return Visitor(client)


def ended(text: str) -> str:
    return re.search(r'data-ended="(\w+)"', text)[1]  # type: ignore[index]


def rules(text: str) -> list[str]:
    part = text.partition('<dl class="rules">')[2].partition("</dl>")[0]
    return re.findall(r"<dt><code>([^<]+)</code>", part)


def headline(text: str) -> str:
    return text.partition('<div class="outcome')[2].partition("</div>")[0]


def register(text: str) -> list[list[str]]:
    """The rules of each line of the register, the newest first."""
    lines = text.partition('<table class="register">')[2].partition("<tbody>")[2].split("</tr>")[:-1]
    return [re.findall(r"<span>([^<]+)</span>", line.rpartition('<td class="rule">')[2]) for line in lines]


def review_of(text: str) -> str:
    return re.search(r'value="approve:(\w+)"', text.rpartition('value="see:')[2])[1]  # type: ignore[index]


def kinds(guard: Guard) -> list[Kind]:
    return [entry.kind for entry in guard.register.entries()]


# --- What is shown is what the guard did -----------------------------------------------------------


def test_an_officer_reads_the_application_of_an_open_case_masked(visitor: Visitor, guard: Guard) -> None:
    before = len(kinds(guard))
    text = visitor.press("read-one")
    assert ended(text) == "reduced"
    assert "445***************" in text
    assert "445103195908148851" not in text
    assert {"OP-01", "PI-19"} <= set(rules(text))
    assert "GRANT(identity_number, separate)" in text
    assert kinds(guard)[before:] == ["read"]
    assert 'data-verified="yes"' in text


def test_an_entry_is_called_as_the_command_calls_it(visitor: Visitor, guard: Guard) -> None:
    for who in ("officer-lin", "officer-chen"):
        text = visitor.press("read-one", actor=who)
        newest = list(guard.register.entries())[-1]
        name = f"{newest.shard[:6]}/{newest.seq}"
        assert f"Register entry {name}<" in text
        assert f'<td class="number">{name}</td>' in text


def test_a_colleague_without_the_case_is_refused_and_told_what_would_be_allowed(visitor: Visitor) -> None:
    text = visitor.press("read-one", actor="officer-chen")
    assert ended(text) == "refused"
    assert rules(text) == ["PI-02"]
    assert "assigned_case" in text


def test_the_register_names_the_rules_of_a_refusal_and_all_rules_of_what_was_allowed(
    visitor: Visitor, guard: Guard
) -> None:
    text = visitor.press("read-one", actor="officer-chen")
    assert register(text)[0] == rules(text) == ["PI-02"]
    assert {"OP-01", "PI-02", "PI-19"} <= set(register(visitor.press("read-one"))[0])
    newest = list(guard.register.entries())[-2]
    name = f"{newest.shard[:6]}/{newest.seq}"
    told = Visitor(TestClient(application(guard, refusals={name: ["PI-02"]}), base_url=HERE))
    assert register(told.press("look"))[1] == ["PI-02"]


def test_a_refused_statement_is_told_to_have_run_only_where_it_did(visitor: Visitor) -> None:
    ran, barred, kept = "As the database ran it", "It ran and found no permitted row", "nothing of it was released"
    never = visitor.press("sql", sql="SELECT password FROM customer")
    assert ran not in never
    assert "In the database" in never
    assert "It did not reach the database." in never
    chen = visitor.press("read-one", actor="officer-chen")
    assert ran in chen
    assert barred in chen
    assert kept not in chen
    assert barred in visitor.press("read-one", person="1006")
    allowed = visitor.press("read-one")
    assert ran in allowed
    assert barred not in allowed
    assert kept not in allowed


def test_without_a_purpose_nothing_is_asked_of_the_database(visitor: Visitor) -> None:
    text = visitor.press("read-one", purpose="")
    assert ended(text) == "refused"
    assert rules(text) == ["GUARD-PURPOSE"]
    assert "It did not reach the database." in text


def test_a_person_reads_the_own_record_and_no_other(visitor: Visitor) -> None:
    own = visitor.press("read-one", actor="1001", purpose="own_record_access")
    assert "445103195908148851" in own
    other = visitor.press("read-one", actor="1001", purpose="own_record_access", person="1002")
    assert ended(other) == "refused"


@pytest.fixture
def banked(guard: Guard) -> Visitor:
    return Visitor(TestClient(application(guard, bank=web.application(guard)), base_url=HERE))


def test_the_web_application_answers_with_what_may_be_seen(banked: Visitor, guard: Guard) -> None:
    before = len(kinds(guard))
    text = banked.press("web-one")
    assert ended(text) == "reduced"
    assert "GET /applications/1001" in text
    assert "200 OK" in text
    assert "445***************" in text
    assert re.search(r"<code>/id_number</code></th><td>shown or masked[^<]*\(id18\)", text)
    assert len(kinds(guard)) > before
    refused = banked.press("web-one", actor="officer-chen", lang="zh")
    assert ended(refused) == "refused"
    assert rules(refused) == ["PI-02"]
    assert "须具备关系" in refused
    assert "1004" in banked.press("web-all", actor="officer-chen")
    assert ended(banked.press("web-branches")) == "allowed"
    assert "Choose a person first" in banked.press("web-one", person="")


def test_what_the_web_application_refuses_has_the_purpose_of_its_route_and_its_entry(
    banked: Visitor, guard: Guard
) -> None:
    for do, actor, person in (
        ("web-one", "officer-lin", "1004"),  # refused within the program, at its statement
        ("web-post", "1001", "1002"),  # refused at the door
    ):
        text = banked.press(do, actor=actor, person=person, purpose="marketing")
        newest = list(guard.register.entries())[-1]
        assert ended(text) == "refused"
        assert newest.kind == "denied"
        assert "for Loan underwriting" in headline(text)
        assert f"Register entry {newest.shard[:6]}/{newest.seq}<" in headline(text)
        assert "What became of each field" not in text
        assert register(text)[0] == rules(text)
    assert "no personal data" in headline(banked.press("web-branches"))


def test_the_page_says_of_each_route_the_purpose_that_it_declares() -> None:
    declared = yaml.safe_load(web.ROUTES.read_text("utf-8"))["routes"]
    for one in choices.ROUTES.values():
        route = declared[f"{one.method} {one.path.format('{customer_id}')}"]
        assert one.purpose == route.get("purpose", ""), one


def test_a_form_is_stripped_of_what_is_not_for_its_purpose(banked: Visitor) -> None:
    text = banked.press("web-post", actor="1001")
    assert ended(text) == "reduced"
    assert "204 No Content" in text
    assert "<code>/foreign_worker</code></th><td>stripped</td>" in text
    assert "<code>/credit_amount</code></th><td>kept</td>" in text
    assert "/religion" not in text
    assert ended(banked.press("web-post", actor="1001", person="1002")) == "refused"


def test_a_page_without_the_web_application_offers_none(visitor: Visitor) -> None:
    assert "web-one" not in visitor.press("look")
    assert ended(visitor.press("web-one")) == "failed"


def test_nobody_publishes_debtors(visitor: Visitor) -> None:
    for purpose in ("loan_underwriting", "publication"):
        assert ended(visitor.press("publish", purpose=purpose)) == "refused"


def test_an_export_is_held_approved_by_another_and_released_once(visitor: Visitor, guard: Guard) -> None:
    marketer = {"actor": "marketer-fang", "purpose": "marketing", "person": ""}
    held = visitor.press("export", **marketer)
    assert ended(held) == "held"
    assert "What was released" not in held
    review = review_of(held)
    assert rules(visitor.press(f"approve:{review}", **marketer)) == ["GUARD-APPROVER"]
    assert rules(visitor.press(f"see:{review}", actor="officer-lin")) == ["GUARD-APPROVER"]
    assert "SELECT customer_id, full_name, mobile" in visitor.press(f"see:{review}", actor="officer-he")
    approved = visitor.press(f"approve:{review}", actor="officer-he")
    assert f"again:{review}" in approved
    released = visitor.press(f"again:{review}", actor="officer-he")
    assert "Fang, marketing" in released
    assert ended(released) == "reduced"
    assert "and 49 more rows" in released
    assert rules(visitor.press(f"again:{review}", actor="officer-he")) == ["GUARD-REVIEW"]
    assert kinds(guard)[-1] == "denied"


def test_a_rejected_export_is_gone(visitor: Visitor) -> None:
    held = visitor.press("export", actor="marketer-fang", purpose="marketing")
    review = review_of(held)
    assert "Rejected" in visitor.press(f"reject:{review}", actor="officer-he")
    again = visitor.press(f"again:{review}", actor="officer-he")
    assert rules(again) == ["GUARD-REVIEW"]


def test_a_request_that_this_page_did_not_hold_is_not_run_from_it(visitor: Visitor) -> None:
    assert ended(visitor.press("again:0123456789abcdef")) == "failed"


def test_withdrawing_is_seen_by_the_next_query_and_a_new_consent_by_the_one_after(visitor: Visitor) -> None:
    one = {"person": "1002"}
    assert "445202200404297418" in visitor.press("read-one", **one)
    assert "Withdrawn" in visitor.press("withdraw", **one)
    assert ended(visitor.press("read-one", **one)) == "refused"
    time.sleep(1.1)  # a consent of the very second of the withdrawal does not count
    assert ended(visitor.press("consent", **one)) == "allowed"
    assert "445202200404297418" in visitor.press("read-one", **one)


@pytest.mark.parametrize(
    ("kind", "purpose", "rule"),
    [
        ("consent-lifetime", "loan_underwriting", "OP-03"),
        ("consent-forced", "marketing", "OP-02"),
        ("consent-bundled", "marketing", "OP-02"),
    ],
)
def test_an_unlawful_consent_is_void(visitor: Visitor, kind: str, purpose: str, rule: str) -> None:
    text = visitor.press(kind, person="1006", purpose=purpose)
    assert ended(text) == "refused"
    assert "Void" in text
    assert rule in rules(text)


def test_a_void_consent_says_what_to_change(visitor: Visitor) -> None:
    assert "Give it an end that is still to come" in visitor.press("consent-lifetime", person="1006")
    assert "Give the service to who refuses too" in visitor.press("consent-forced", person="1006", purpose="marketing")


def test_a_consent_without_which_there_is_no_service_says_why_it_is_valid(visitor: Visitor) -> None:
    text = visitor.press("consent-forced", person="1011")
    assert ended(text) in {"allowed", "reduced"}
    assert "asks for nothing but what the service needs (OP-02)" in text
    assert "asks for nothing but" not in visitor.press("consent", person="1011")


def test_who_said_that_somebody_consented_cannot_use_it(visitor: Visitor) -> None:
    said = visitor.press("consent-asserted", person="1006")
    assert "does not count for what they read themselves" in said
    assert "does not count for" not in visitor.press("consent", person="1001")
    assert ended(visitor.press("read-one", person="1006")) == "refused"


def test_what_was_done_about_a_consent_has_its_entry(visitor: Visitor, guard: Guard) -> None:
    for do in ("consent", "consent-asserted", "consent-lifetime", "withdraw"):
        text = visitor.press(do, person="1012")
        newest = list(guard.register.entries())[-1]
        assert newest.kind == "consent"
        assert f"Register entry {newest.shard[:6]}/{newest.seq}<" in headline(text), do


def test_the_page_says_that_a_route_states_the_purpose(banked: Visitor) -> None:
    for lang in ("en", "zh"):  # the look is in the other language
        text = banked.press("look", lang=lang)
        assert WORDS["web_hint"]["zh" if lang == "en" else "en"] in text


def test_what_needs_a_person_or_a_purpose_says_so(visitor: Visitor) -> None:
    for do in ("read-one", "consent", "withdraw"):
        assert "Choose a person first" in visitor.press(do, person="")
    assert "Choose the purpose" in visitor.press("consent", purpose="")
    assert "Type a statement first" in visitor.press("sql")


def test_typed_sql_takes_the_same_road(visitor: Visitor) -> None:
    assert ended(visitor.press("sql", sql="SELECT name, city FROM branch", person="")) == "allowed"
    assert '<th scope="row">n</th><td>1</td>' in visitor.press(
        "sql", sql="SELECT COUNT(*) AS n, 1 AS m FROM application"
    )
    for sql, rule in (
        ("DROP TABLE customer", "GUARD-SQL"),
        ("SELECT password FROM customer", "GUARD-SQL-COLUMN"),
        ("SELECT * FROM guard_grant", "GUARD-SQL-TABLE"),
        ("SELECT 1; SELECT 2", "GUARD-SQL"),
    ):
        assert rules(visitor.press("sql", sql=sql)) == [rule]


def test_a_write_is_told_as_written(visitor: Visitor) -> None:
    text = visitor.press("sql", sql="UPDATE application SET duration_in_month = 12 WHERE customer_id = 1001")
    assert ended(text) == "allowed"
    assert "Rows written: 1" in text


def test_what_the_visitor_types_is_text(visitor: Visitor) -> None:
    script = "<script>alert(1)</script>"
    text = visitor.press("sql", sql=f"SELECT '{script}' AS x, name FROM branch", headers={"hx-request": "false"})
    assert "<script>alert" not in text
    assert text.count("&lt;script&gt;alert(1)") >= 2


def test_without_a_script_a_button_gives_the_whole_page(visitor: Visitor) -> None:
    text = visitor.press("read-one", actor="officer-chen", headers={"hx-request": "false"})
    assert text.startswith("<!doctype html>")
    assert ended(text) == "refused"
    assert '<option value="officer-chen" selected>' in text


def test_the_page_speaks_chinese_and_keeps_what_was_chosen(client: TestClient, visitor: Visitor, guard: Guard) -> None:
    assert '<html lang="zh-CN">' in client.get("/", headers={"accept-language": "zh-CN,zh;q=0.9"}).text
    before = len(kinds(guard))
    text = visitor.press("look", person="1004", sql="SELECT 1")
    assert '<html lang="zh-CN">' in text
    assert '<option value="1004" selected>' in text
    assert len(kinds(guard)) == before
    refused = visitor.press("read-one", lang="zh", actor="officer-chen")
    assert "拒绝" in refused
    assert "须具备关系" in refused


def test_every_word_is_there_in_both_languages() -> None:
    for name, words in WORDS.items():
        assert words.en, name
        assert words.zh, name
        assert words.en.count("{}") == words.zh.count("{}"), name
    templates = Path(desk.__file__).parent / "templates"
    used = {word for path in templates.glob("*.html") for word in re.findall(r"word\('(\w+)'", path.read_text("utf-8"))}
    assert used - {"kind_", "stands_", "try_", "is_"} <= WORDS.keys()
    assert {f"kind_{kind}" for kind in Kind.__args__} <= WORDS.keys()


def test_every_purpose_that_the_page_offers_is_known(guard: Guard) -> None:
    assert set(choices.PURPOSES) - {""} <= set(guard.active.purposes)


def test_a_register_that_was_changed_is_shown_as_broken(tmp_path: Path) -> None:
    with Guard.open(Settings.load(bank.build(tmp_path))) as opened:
        visitor = Visitor(TestClient(application(opened), base_url=HERE))
        visitor.press("read-one", actor="officer-chen")
        log = tmp_path / "register" / f"{opened.register.shard}.jsonl"
        log.write_bytes(log.read_bytes().replace(b"officer-chen", b"officer-shen"))
        text = visitor.press("read-one", actor="officer-chen")
        assert 'data-verified="no"' in text


def test_a_statement_that_takes_too_long_is_broken_off(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "SECONDS", 0.05)
    sql = (
        "SELECT COUNT(*) AS n FROM branch AS a, branch AS b, branch AS c, branch AS d, branch AS e, branch AS f, "
        "branch AS g, branch AS h, branch AS i, branch AS j, branch AS k, branch AS l, branch AS m, branch AS n"
    )
    text = visitor.press("sql", sql=sql, person="")
    assert rules(text) == ["GUARD-DATABASE"]
    assert "nothing of it was released" in text
    assert "found no permitted row" not in text


def test_many_at_once_do_not_share_a_connection(visitor: Visitor) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(ended(visitor.press("count")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["reduced"] * 4


# --- What may reach it ----------------------------------------------------------------------------


def form(token: str, **fields: str) -> dict[str, str]:
    return {"token": token, "actor": "officer-lin", "purpose": "", "person": "", "do": "read-all", **fields}


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:8001", "127.0.0.1.evil.example:8000", ""]
)
def test_a_name_that_was_rebound_to_this_machine_is_refused(visitor: Visitor, host: str, guard: Guard) -> None:
    before = len(kinds(guard))
    for path in ("/", "/static/page.js"):
        assert visitor.client.get(path, headers={"host": host}).status_code == 400
    sent = visitor.client.post("/", data=form(visitor.token), headers={"host": host, "origin": f"http://{host}"})
    assert sent.status_code == 400
    assert len(kinds(guard)) == before


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "LOCALHOST:8000", "[::1]:8000"])
def test_the_names_of_this_machine_are_served(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 200


def test_two_hosts_are_none(client: TestClient) -> None:
    with closing(client):
        request = client.build_request("GET", "/")
        request.headers.raw.append((b"host", b"evil.example"))
        request = request.__class__(
            "GET", f"{HERE}/", headers=[(b"Host", b"127.0.0.1:8000"), (b"Host", b"evil.example")]
        )
        assert client.send(request).status_code == 400


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9000"},
        {"origin": "http://localhost:8000"},
        {"origin": "https://127.0.0.1:8000"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_a_form_of_another_site_is_refused_even_with_the_token(
    visitor: Visitor, headers: dict[str, str], guard: Guard
) -> None:
    before = len(kinds(guard))
    assert visitor.client.post("/", data=form(visitor.token), headers=headers).status_code == 403
    assert len(kinds(guard)) == before


def test_a_form_without_the_token_is_refused(visitor: Visitor, guard: Guard) -> None:
    before = len(kinds(guard))
    for token in ("", "x", visitor.token[:-1], visitor.token + "x", "é"):
        assert visitor.client.post("/", data=form(token), headers=OWN).status_code == 403
    other = Visitor(TestClient(application(guard), base_url=HERE))
    assert visitor.client.post("/", data=form(other.token), headers=OWN).status_code == 403
    assert len(kinds(guard)) == before


def test_another_site_may_link_here_and_embed_nothing(client: TestClient) -> None:
    cross = {"sec-fetch-site": "cross-site"}
    assert client.get("/", headers={**cross, "sec-fetch-mode": "navigate"}).status_code == 200
    for mode in ("no-cors", "cors"):
        assert client.get("/static/page.js", headers={**cross, "sec-fetch-mode": mode}).status_code == 403


def test_a_form_is_read_strictly(visitor: Visitor) -> None:
    def sent(body: str | bytes, kind: str = "application/x-www-form-urlencoded") -> int:
        return visitor.client.post("/", content=body, headers={**OWN, "content-type": kind}).status_code

    good = urlencode(form(visitor.token))
    assert sent(good) == 200
    assert sent(good, "text/plain") == 415
    assert sent(good, "multipart/form-data; boundary=x") == 415
    assert sent(f"{good}&actor=officer-he") == 400
    assert sent(f"{good}&extra=1") == 400
    assert sent(good.replace("officer-lin", "nobody")) == 400
    assert sent(good.replace("read-all", "shutdown")) == 400
    assert sent(good.replace("read-all", "approve%3A..")) == 400
    assert sent(good.replace("person=", "person=1%00")) == 400
    assert sent(f"{good}&sql=%ff") == 400
    assert sent(f"{good}&sql=\xff".encode("latin-1")) == 400
    assert sent("") in {400, 403}
    assert sent(good + "&sql=" + "x" * LONGEST) == 413


def test_a_long_form_that_does_not_say_so_is_cut_off(visitor: Visitor) -> None:
    def body() -> Iterator[bytes]:
        yield urlencode(form(visitor.token)).encode()
        for _ in range(10):
            yield b"x" * LONGEST

    kind = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.client.post("/", content=body(), headers={**OWN, **kind}).status_code == 413


def test_a_browser_is_told_to_run_nothing_inline_and_to_keep_nothing(visitor: Visitor) -> None:
    for answer in (
        visitor.client.get("/"),
        visitor.client.get("/static/page.css"),
        visitor.client.get("/nothing"),
        visitor.client.get("/", headers={"host": "evil.example"}),
        visitor.client.post("/", data=form(visitor.token), headers=OWN),
    ):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_page_holds_nothing_inline_and_nothing_from_elsewhere(visitor: Visitor) -> None:
    text = visitor.press("read-all", headers={"hx-request": "false"})
    assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|hx-on|javascript:", text)
    assert not re.findall(r'(?:src|href|action)="(?!/|#)', text)
    sheet = visitor.client.get("/static/page.css").text
    assert "url(" not in sheet
    assert "@import" not in sheet


def test_the_script_of_others_is_the_one_that_its_notice_names() -> None:
    static = Path(desk.__file__).parent / "static"
    digest = hashlib.sha256((static / "htmx.min.js").read_bytes()).hexdigest()
    assert f"sha256:{digest}\n" in (static / "htmx.LICENSE.txt").read_text("utf-8")


def test_no_websocket_is_taken(client: TestClient) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect("/"):
        pass


def test_the_bank_is_mounted_behind_the_same_fence(guard: Guard) -> None:
    async def echo(request: Request) -> PlainTextResponse:
        return PlainTextResponse(f"{request.method} {len(await request.body())}", headers={"cache-control": "private"})

    inner = Starlette(routes=[Route("/applications", echo, methods=["GET", "POST"])])
    client = TestClient(application(guard, bank=inner), base_url=HERE)
    answer = client.post("/bank/applications", content=b"x" * (LONGEST + 1))
    assert answer.text == f"POST {LONGEST + 1}"
    assert answer.headers["cache-control"] == "private"
    assert client.get("/bank/applications", headers={"host": "evil.example"}).status_code == 400
    assert client.post("/bank/applications", headers={"origin": "http://evil.example"}).status_code == 403


# --- Serving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_it_is_served_on_the_loopback_only(guard: Guard, host: str) -> None:
    with pytest.raises(Misuse, match=r"served on 127\.0\.0\.1"):
        serve(guard, host=host)


def test_a_taken_port_is_told(guard: Guard) -> None:
    with serving.listening("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(Misuse, match="--port"):
            serve(guard, port=port)


def test_the_hosts_are_those_of_the_port() -> None:
    assert hosts(8000) == {"127.0.0.1:8000", "localhost:8000", "[::1]:8000"}
    assert "127.0.0.1" in hosts(80)


# --- On PostgreSQL --------------------------------------------------------------------------------


def test_the_same_page_on_postgresql(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with Guard.open(Settings.load(bank.build(tmp_path, database=postgres_url))) as opened:
        bank.record(opened.consents)
        visitor = Visitor(TestClient(application(opened), base_url=HERE))
        one = visitor.press("read-one")
        assert ended(one) == "reduced"
        assert "445***************" in one
        assert "GRANT(identity_number, separate)" in one
        assert "OPERATOR" not in one.partition("The whole text")[0]
        assert ended(visitor.press("read-one", actor="officer-chen")) == "refused"
        for do in ("read-all", "count", "join"):
            assert ended(visitor.press(do)) == "reduced"
        assert ended(visitor.press("export", actor="marketer-fang", purpose="marketing")) == "held"
        written = visitor.press("sql", sql="UPDATE application SET duration_in_month = 12 WHERE customer_id = 1001")
        assert "Rows written: 1" in written
        monkeypatch.setattr(desk, "SECONDS", 0.001)
        assert rules(visitor.press("sql", sql="SELECT COUNT(*) AS n FROM application AS a, application AS b")) == [
            "GUARD-DATABASE"
        ]
