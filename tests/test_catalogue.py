"""The catalogue is closed: what it says is consistent, what it does not say does not exist."""

import copy

import pytest

from guard import catalogue
from guard.demo import agency, bank
from guard.errors import ConfigError
from guard.model import Item

TEXT = """\
version: "1"
sources:
  bank:retail.loan:
    subjects:
      holder: customer_id
      guarantor: {column: guarantor_id, optional: true}
    relations:
      assigned_case:
        source: bank:retail.loan_case
        subject: customer_id
        actor: officer_id
        where: {status: open, urgent: true, level: 1}
    facts:
      ended: ended_at
    fields:
      customer_id: {category: pseudonym, type: integer}
      guarantor_id: {category: pseudonym, type: integer}
      ended_at: {category: adverse, type: date}
  bank:retail.loan_case:
    subjects: {holder: customer_id}
    fields:
      customer_id: {category: pseudonym, type: integer}
      officer_id: {category: account_meta}
      status: {category: account_meta}
      urgent: {category: account_meta, type: boolean}
      level: {category: account_meta, type: integer}
  bank:POST /applications:
    subjects: {holder: /customer}
    fields: {/customer: {category: pseudonym}}
public:
  bank:retail.branch:
    reason: on our web page
    owner: data office
    fields: {branch_id: text, name: text}
"""


@pytest.fixture
def loaded(tmp_path):
    return load(tmp_path, TEXT)


def load(folder, text):
    path = folder / "catalogue.yaml"
    path.write_text(text, encoding="utf-8")
    return catalogue.load(path)


def test_a_table_is_found_by_holder_schema_and_name(loaded):
    name, entry = loaded.table("bank", "retail", "loan")
    assert name == "bank:retail.loan"
    assert entry is loaded.sources[name] is loaded.entry(name)
    assert loaded.table("bank", "retail", "branch") == ("bank:retail.branch", loaded.public["bank:retail.branch"])
    assert loaded.table("bank", "retail", "nothing") is None
    assert loaded.table("bank2", "retail", "loan") is None
    assert loaded.categories == {"pseudonym", "adverse", "account_meta"}


def test_items_say_what_conditions_may_name(loaded):
    entry = loaded.sources["bank:retail.loan"]
    assert entry.item("s") == Item(
        source="s",
        field=None,
        role="read",
        subjects=("guarantor", "holder"),
        relations=("assigned_case",),
        facts=("ended",),
    )
    assert entry.field_item("s", "ended_at", "filter") == Item(
        source="s", field="ended_at", role="filter", category="adverse"
    )
    with pytest.raises(KeyError):
        entry.field_item("s", "nothing")


def test_the_first_subject_is_the_first_that_was_written(loaded):
    assert next(iter(loaded.sources["bank:retail.loan"].subjects)) == "holder"


def test_where_keeps_the_types_that_were_written(loaded):
    where = loaded.sources["bank:retail.loan"].relations["assigned_case"].where
    assert [type(value) for value in where.values()] == [str, bool, int]


def test_the_digest_names_the_content_alone(loaded, tmp_path):
    assert loaded.digest == load(tmp_path, "# a comment\n" + TEXT).digest
    assert loaded.digest.startswith("sha256:")
    changes = [
        ("category: adverse", "category: loan"),
        ("optional: true", "optional: false"),
        ("level: 1}", "level: 2}"),
    ]
    digests = {load(tmp_path, TEXT.replace(old, new)).digest for old, new in changes}
    assert len(digests | {loaded.digest}) == len(changes) + 1


def test_a_catalogue_cannot_be_changed(loaded):
    source = loaded.sources["bank:retail.loan"]
    for mapping in (loaded.sources, loaded.public, source.fields, source.subjects, source.relations, source.facts):
        with pytest.raises(TypeError):
            mapping["x"] = mapping
    with pytest.raises(ValueError, match="frozen"):
        source.fields["ended_at"].category = "system"


def test_a_catalogue_from_data_is_held_to_the_same(loaded):
    data = loaded.model_dump()
    assert catalogue.load(data) == loaded
    wrong = copy.deepcopy(data)
    wrong["sources"]["bank:retail.loan"]["facts"]["ended"] = "nothing"
    with pytest.raises(ConfigError, match="nothing"):
        catalogue.load(wrong)


@pytest.mark.parametrize(
    ("old", "new", "line", "word"),
    [
        ("holder: customer_id\n", "holder: customer\n", 5, "customer, which is not among the fields"),
        ("holder: customer_id\n", "holder: ended_at\n", 5, "of the type date"),
        ("column: guarantor_id,", "column: customer_id,", 4, "two subjects"),
        ("      holder: customer_id\n", "", 5, "first subject guarantor is optional"),
        ("    subjects: {holder: customer_id}\n", "", 19, "subjects is missing"),
        ("    subjects: {holder: customer_id}\n", "    subjects: {}\n", 20, "at least 1"),
        ("{column: guarantor_id, optional: true}", "{via: account.no}", 6, "not built yet"),
        ("source: bank:retail.loan_case", "source: bank:retail.case", 9, "bank:retail.case is not in the catalogue"),
        ("source: bank:retail.loan_case", "source: bank:retail.loan_cse", 9, "did you mean bank:retail.loan_case?"),
        ("        subject: customer_id", "        subject: custmer_id", 10, "did you mean customer_id?"),
        ("holder: customer_id\n", "holder: custmer_id\n", 5, "did you mean customer_id?"),
        ("ended: ended_at", "ended: endedat", 14, "did you mean ended_at?"),
        ("        subject: customer_id", "        subject: person", 10, "no column person"),
        ("        actor: officer_id", "        actor: clerk", 11, "no column clerk"),
        ("where: {status:", "where: {state:", 12, "no column state"),
        ("where: {status: open", "where: {status: 1.5", 12, "where.status"),
        ("ended: ended_at", "ended: ended_on", 14, "fact ended names ended_on"),
        ("ended_at: {category: adverse", "ended_at: {categorie: adverse", 18, "categorie is not a key"),
        ("type: date", "type: datetime", 18, "type is 'datetime'"),
        ("      ended_at: {", "      Customer_id: {category: identity}\n      ended_at: {", 18, "differ only in case"),
        ("  bank:retail.loan_case:\n", "  bank:retail.LOAN:\n", 19, "differ only in case"),
        ("  bank:retail.loan_case:\n", "  loan_case:\n", 19, "loan_case"),
        ("  bank:retail.branch:\n", "  bank:retail.loan:\n", 31, "both personal and public"),
        ("    reason: on our web page\n", "", 31, "reason is missing"),
        ("    reason: on our web page\n", '    reason: " "\n', 32, "reason"),
        ("    owner: data office\n", "", 31, "owner is missing"),
        ("fields: {branch_id: text, name: text}", "fields: {}", 34, "at least 1"),
        ("fields: {branch_id: text, name: text}", "fields: {branch_id: txt}", 34, "branch_id is 'txt'"),
        ("fields: {branch_id: text, name: text}", "fields: {name: text, Name: text}", 34, "differ only in case"),
        ("    facts:\n", "    key: [loan_id]\n    facts:\n", 13, "key names loan_id"),
        ('version: "1"\n', "", 1, "version is missing"),
        ('version: "1"', "version: 1", 1, "version"),
    ],
)  # fmt: skip
def test_each_mistake_has_its_line_and_a_remedy(tmp_path, old, new, line, word):
    assert old in TEXT
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, TEXT.replace(old, new, 1))
    found = caught.value.problems
    assert any(one.line == line and word in f"{one.message} — {one.remedy}" for one in found), found
    assert all(one.remedy and one.file.endswith("catalogue.yaml") for one in found)


@pytest.mark.parametrize("module", [bank, agency])
def test_the_shipped_catalogues_load(module):
    loaded = catalogue.load(module.HERE / "catalogue.yaml")
    assert loaded.sources
