"""SQL text -> Plan -> guarded SQL. Pure: nothing in here talks to a database.

::

    site = Site(catalogue=catalogue, holder="bank", schemas={"main": "retail"}, dialect="sqlite")
    made = plan("SELECT name FROM customer WHERE id = ?", site)
    guarded = made.apply(decision)
    sql, parameters = guarded.bind([1], facts)

What a statement may consist of is an allow-list (`grammar`, `dialects`); each table that it reads is replaced
by the permitted part of it (`template`), so that joins, predicates, aggregates and order see only what the actor
may see, and a row that is written has to be in that part before and after (`changes`). `PlanCache` keeps both
steps; `holds` asks the same conditions about persons.
"""

from guard_sql.cache import PlanCache
from guard_sql.guarded import Guarded
from guard_sql.holds import holds
from guard_sql.plan import Plan, plan
from guard_sql.site import Site

__all__ = ["Guarded", "Plan", "PlanCache", "Site", "holds", "plan"]
