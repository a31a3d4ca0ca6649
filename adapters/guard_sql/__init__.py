"""SQL text -> Plan -> guarded SQL. Pure: nothing in here talks to a database.

::

    made = plan("SELECT name FROM customer WHERE id = ?", catalogue=catalogue, holder="bank", schemas={"main": "retail"})
    guarded = made.apply(decision)
    sql, parameters = guarded.bind([1], facts)

What a statement may consist of is an allow-list (`grammar`, `dialects`); the table that it names is replaced
by the permitted part of it (`template`), so that predicates, aggregates and order see only what the actor
may see. `PlanCache` keeps both steps; `holds_sql` asks the same conditions about persons.
"""

from guard_sql.cache import PlanCache
from guard_sql.guarded import Guarded
from guard_sql.holds import Holds, holds_sql
from guard_sql.plan import Plan, plan

__all__ = ["Guarded", "Holds", "Plan", "PlanCache", "holds_sql", "plan"]
