"""TPC-H's eight tables, small and always the same: its names, domains and dependencies, not its exact numbers.

Fewer colours, containers and suppliers than the benchmark has, so that each of its 22 queries finds something in
some fifteen thousand rows.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

Row = tuple[Any, ...]

COLUMNS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "region": {"r_regionkey": "integer", "r_name": "text", "r_comment": "text"},
        "nation": {"n_nationkey": "integer", "n_name": "text", "n_regionkey": "integer", "n_comment": "text"},
        "supplier": {
            "s_suppkey": "integer",
            "s_name": "text",
            "s_address": "text",
            "s_nationkey": "integer",
            "s_phone": "text",
            "s_acctbal": "number",
            "s_comment": "text",
        },
        "customer": {
            "c_custkey": "integer",
            "c_name": "text",
            "c_address": "text",
            "c_nationkey": "integer",
            "c_phone": "text",
            "c_acctbal": "number",
            "c_mktsegment": "text",
            "c_comment": "text",
        },
        "part": {
            "p_partkey": "integer",
            "p_name": "text",
            "p_mfgr": "text",
            "p_brand": "text",
            "p_type": "text",
            "p_size": "integer",
            "p_container": "text",
            "p_retailprice": "number",
            "p_comment": "text",
        },
        "partsupp": {
            "ps_partkey": "integer",
            "ps_suppkey": "integer",
            "ps_availqty": "integer",
            "ps_supplycost": "number",
            "ps_comment": "text",
        },
        "orders": {
            "o_orderkey": "integer",
            "o_custkey": "integer",
            "o_orderstatus": "text",
            "o_totalprice": "number",
            "o_orderdate": "date",
            "o_orderpriority": "text",
            "o_clerk": "text",
            "o_shippriority": "integer",
            "o_comment": "text",
        },
        "lineitem": {
            "l_orderkey": "integer",
            "l_partkey": "integer",
            "l_suppkey": "integer",
            "l_linenumber": "integer",
            "l_quantity": "number",
            "l_extendedprice": "number",
            "l_discount": "number",
            "l_tax": "number",
            "l_returnflag": "text",
            "l_linestatus": "text",
            "l_shipdate": "date",
            "l_commitdate": "date",
            "l_receiptdate": "date",
            "l_shipinstruct": "text",
            "l_shipmode": "text",
            "l_comment": "text",
        },
    }
)
"""Table -> column -> type of the catalogue."""

KEYS: Final = {
    "region": "r_regionkey",
    "nation": "n_nationkey",
    "supplier": "s_suppkey",
    "customer": "c_custkey",
    "part": "p_partkey",
    "partsupp": "ps_partkey, ps_suppkey",
    "orders": "o_orderkey",
    "lineitem": "l_orderkey, l_linenumber",
}

SUPPLIERS: Final = 50
CUSTOMERS: Final = 300
PARTS: Final = 500
ORDERS: Final = 2_500

_NATIONS: Final = (
    *("ALGERIA 0", "ARGENTINA 1", "BRAZIL 1", "CANADA 1", "EGYPT 4", "ETHIOPIA 0", "FRANCE 3", "GERMANY 3", "INDIA 2"),
    *("INDONESIA 2", "IRAN 4", "IRAQ 4", "JAPAN 2", "JORDAN 4", "KENYA 0", "MOROCCO 0", "MOZAMBIQUE 0", "PERU 1"),
    *("CHINA 2", "ROMANIA 3", "SAUDI ARABIA 4", "VIETNAM 2", "RUSSIA 3", "UNITED KINGDOM 3", "UNITED STATES 1"),
)
_REGIONS: Final = ("AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST")
_COLOURS: Final = ("almond", "blue", "forest", "green", "ivory", "lime", "navy", "olive", "red", "snow")
_SEGMENTS: Final = ("AUTOMOBILE", "BUILDING", "FURNITURE", "MACHINERY", "HOUSEHOLD")
_PRIORITIES: Final = ("1-URGENT", "2-HIGH", "3-MEDIUM", "4-NOT SPECIFIED", "5-LOW")
_INSTRUCTIONS: Final = ("DELIVER IN PERSON", "COLLECT COD", "NONE", "TAKE BACK RETURN")
_MODES: Final = ("REG AIR", "AIR", "RAIL", "SHIP", "TRUCK", "MAIL", "FOB")
_KINDS: Final = (("STANDARD", "SMALL", "MEDIUM", "LARGE", "ECONOMY", "PROMO"), ("ANODIZED", "POLISHED", "BRUSHED"))
_METALS: Final = ("TIN", "NICKEL", "BRASS", "STEEL", "COPPER")
_BRANDS: Final = ("Brand#12", "Brand#23", "Brand#34", "Brand#45", "Brand#51")
_CONTAINERS: Final = ("SM CASE", "SM PKG", "MED BOX", "MED BAG", "LG BOX", "LG PACK", "JUMBO JAR")
_SIZES: Final = (1, 3, 5, 9, 14, 15, 19, 23, 36, 45, 49)
_WORDS: Final = ("carefully", "special", "deposits", "requests", "sleep", "furiously", "ironic", "packages", "Customer")
_FIRST: Final = date(1992, 1, 1)
_CURRENT: Final = date(1995, 6, 17)


def tables() -> dict[str, list[Row]]:
    """The rows of each table."""
    choose = random.Random(1992)
    parts = list(_parts(choose))
    supply = [(key, supplier) for key, *_ in parts for supplier in _suppliers(key)]
    orders, lines = _orders(choose, {part[0]: part[7] for part in parts})
    return {
        "region": [(key, name, _comment(choose)) for key, name in enumerate(_REGIONS)],
        "nation": [(key, one.rpartition(" ")[0], int(one[-1]), _comment(choose)) for key, one in enumerate(_NATIONS)],
        "supplier": list(_supplier_rows(choose)),
        "customer": list(_customers(choose)),
        "part": parts,
        "partsupp": [
            (part, supplier, choose.randint(1, 9_999), _money(choose, 100, 100_000), _comment(choose))
            for part, supplier in supply
        ],
        "orders": orders,
        "lineitem": lines,
    }


def _comment(choose: random.Random) -> str:
    return " ".join(choose.choices(_WORDS, k=5))


def _money(choose: random.Random, low: int, high: int) -> Decimal:
    return Decimal(choose.randint(low, high)) / 100


def _phone(choose: random.Random, nation: int) -> str:
    return f"{nation + 10}-{choose.randint(100, 999)}-{choose.randint(100, 999)}-{choose.randint(1000, 9999)}"


def _supplier_rows(choose: random.Random) -> Iterator[Row]:
    for key in range(1, SUPPLIERS + 1):
        nation = key % 25
        note = "Customer slow Complaints" if key % 10 == 0 else _comment(choose)
        balance = _money(choose, -99_999, 999_999)
        yield (key, f"Supplier#{key:09}", f"{key} Dock", nation, _phone(choose, nation), balance, note)


def _customers(choose: random.Random) -> Iterator[Row]:
    for key in range(1, CUSTOMERS + 1):
        nation = choose.randrange(25)
        balance = _money(choose, -99_999, 999_999)
        yield (
            *(key, f"Customer#{key:09}", f"{key} Street", nation, _phone(choose, nation), balance),
            *(choose.choice(_SEGMENTS), _comment(choose)),
        )


def _parts(choose: random.Random) -> Iterator[Row]:
    for key in range(1, PARTS + 1):
        kind = f"{choose.choice(_KINDS[0])} {choose.choice(_KINDS[1])} {choose.choice(_METALS)}"
        yield (
            *(key, " ".join(choose.sample(_COLOURS, 3)), f"Manufacturer#{key % 5 + 1}", choose.choice(_BRANDS), kind),
            *(choose.choice(_SIZES), choose.choice(_CONTAINERS), Decimal(90_000 + key * 10) / 100, _comment(choose)),
        )


def _suppliers(part: int) -> list[int]:
    return sorted({(part + place * (SUPPLIERS // 4 + 1)) % SUPPLIERS + 1 for place in range(4)})


def _orders(choose: random.Random, prices: Mapping[int, Decimal]) -> tuple[list[Row], list[Row]]:
    orders: list[Row] = []
    lines: list[Row] = []
    buyers = [key for key in range(1, CUSTOMERS + 1) if key % 3]  # every third one never orders
    for key in range(1, ORDERS + 1):
        day = _FIRST + timedelta(days=choose.randrange(2_406))
        made = [_line(choose, key, number, day, prices) for number in range(1, choose.randint(1, 7) + 1)]
        states = {line[9] for line in made}
        total = sum((line[5] * (1 - line[6]) for line in made), Decimal(0)).quantize(Decimal("0.01"))
        orders.append(
            (
                *(key, choose.choice(buyers), states.pop() if len(states) == 1 else "P", total, day),
                *(choose.choice(_PRIORITIES), f"Clerk#{choose.randint(1, 9):09}", 0, _comment(choose)),
            )
        )
        lines += made
    return orders, lines


def _line(choose: random.Random, order: int, number: int, day: date, prices: Mapping[int, Decimal]) -> Row:
    part = choose.choice(list(prices))
    quantity = choose.randint(1, 50)
    shipped = day + timedelta(days=choose.randint(1, 121))
    received = shipped + timedelta(days=choose.randint(1, 30))
    returned = "N" if received > _CURRENT else choose.choice("RA")
    return (
        *(order, part, choose.choice(_suppliers(part)), number, Decimal(quantity), quantity * prices[part]),
        *(Decimal(choose.randint(0, 10)) / 100, Decimal(choose.randint(0, 8)) / 100, returned),
        *("O" if shipped > _CURRENT else "F", shipped, day + timedelta(days=choose.randint(30, 90)), received),
        *(choose.choice(_INSTRUCTIONS), choose.choice(_MODES), _comment(choose)),
    )
