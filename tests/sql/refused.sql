SELECT count(*) FILTER (WHERE frozen = 1) FROM customer
GUARD-SQL: FILTER is not built yet: use CASE inside the aggregate.

PRAGMA table_info(customer)
GUARD-SQL: Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the connection; tables are made and altered by a connection that is not guarded.

ATTACH 'x.db' AS x
GUARD-SQL: Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the connection; tables are made and altered by a connection that is not guarded.

SELECT 1; SELECT 2
GUARD-SQL: It is more than one statement: send them one by one.

SELECT full_name FROM customer INDEXED BY i
GUARD-SQL: INDEXED BY is not built yet.

SELECT * FROM json_each('[1]')
GUARD-SQL-FUNCTION: json_each is not on the list.

SELECT full_name FROM customer FOR UPDATE
GUARD-SQL: A row lock is not built yet.

SELECT full_name COLLATE NOCASE FROM customer
GUARD-SQL: COLLATE is not built: a column compares as its table says.

SELECT rowid FROM customer
GUARD-SQL-COLUMN: The column rowid is not in the catalogue: declare it there, or leave it out.

SELECT full_name FROM customer WHERE full_name = "王小明"
GUARD-SQL-COLUMN: A name beyond ASCII is not one that the catalogue spells.

SELECT full_name FROM customer WHERE full_name = "wang"
GUARD-SQL-COLUMN: The column in quotes is not in the catalogue; a text is written with single quotes.

SELECT nothing FROM customer
GUARD-SQL-COLUMN: The column nothing is not in the catalogue: declare it there, or leave it out.

SELECT o.full_name FROM customer c
GUARD-SQL-COLUMN: A column is qualified by a name that no source has here.

SELECT customer.full_name FROM customer c
GUARD-SQL-COLUMN: A column is qualified by a name that no source has here.

SELECT full_nam FROM customer
GUARD-SQL-COLUMN: The column full_nam is not in the catalogue; did you mean full_name?

SELECT c.MOBIL FROM customer c
GUARD-SQL-COLUMN: The column MOBIL is not in the catalogue; did you mean mobile?

SELECT full_name FROM custmer
GUARD-SQL-TABLE: The table custmer is not in the catalogue; did you mean customer?

UPDATE custmer SET full_name = 'x'
GUARD-SQL-TABLE: The table custmer is not in the catalogue; did you mean customer?

UPDATE customer SET full_nam = 'x'
GUARD-SQL-COLUMN: The column full_nam is not in the catalogue; did you mean full_name?

SELECT full_name FROM "custmer"
GUARD-SQL-TABLE: The table is not in the catalogue.

SELCT full_name FROM customer
GUARD-SQL: This is no SQL statement: did you mean SELECT? Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the connection; tables are made and altered by a connection that is not guarded.

the persons of branch 3
GUARD-SQL: This is no SQL statement. Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the connection; tables are made and altered by a connection that is not guarded.

SAVEPOINT x
GUARD-SQL: Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the connection; tables are made and altered by a connection that is not guarded.

SELECT x FROM unknown
GUARD-SQL-TABLE: The table unknown is not in the catalogue: declare it there, or leave it out.

SELECT x FROM temp.customer
GUARD-SQL-TABLE: The table customer is not in the catalogue; did you mean main.customer?

SELECT x FROM other.customer
GUARD-SQL-TABLE: The table customer is not in the catalogue; did you mean main.customer?

SELECT * FROM sqlite_schema
GUARD-SQL-TABLE: The table is not in the catalogue.

SELECT * FROM guard_grant
GUARD-SQL-TABLE: The table is not in the catalogue.

SELECT abs(customer_id) FROM customer
GUARD-SQL-FUNCTION: abs is not on the list.

SELECT json_extract(full_name, '$') FROM customer
GUARD-SQL-FUNCTION: json_extract is not on the list.

SELECT hex(full_name) FROM customer
GUARD-SQL-FUNCTION: hex is not on the list.

SELECT random()
GUARD-SQL-FUNCTION: random is not on the list.

SELECT current_date
GUARD-SQL-FUNCTION: current_date is not on the list.

SELECT full_name || mobile FROM customer WHERE full_name || 'x' = 'ax'
GUARD-SQL: || stands in the select list, GROUP BY or ORDER BY of the outermost SELECT only.

SELECT full_name FROM customer WHERE 'x' LIKE full_name
GUARD-SQL: The pattern of LIKE is a literal or a parameter of at most 1000 bytes.

SELECT full_name FROM customer WHERE full_name LIKE '%' || ? || '%'
GUARD-SQL: The pattern of LIKE is a literal or a parameter of at most 1000 bytes.

SELECT full_name FROM customer WHERE mobile = '1' AND ? || ? = 'x'
GUARD-SQL: || stands in the select list, GROUP BY or ORDER BY of the outermost SELECT only.

SELECT ? || ? AS x FROM customer WHERE x = 'x'
GUARD-SQL: || stands in the select list, GROUP BY or ORDER BY of the outermost SELECT only.

SELECT full_name FROM customer WHERE trim(full_name, mobile) = ''
GUARD-SQL: What TRIM takes off is a literal or a parameter.

SELECT rtrim('x', full_name) FROM customer
GUARD-SQL: What TRIM takes off is a literal or a parameter.

SELECT full_name FROM customer LIMIT 9223372036854775808
GUARD-SQL: LIMIT and OFFSET are numbers of 64 bits.

SELECT full_name FROM customer WHERE full_name GLOB 'x*'
GUARD-SQL: GLOB is not built yet: use LIKE.

SELECT full_name FROM customer WHERE count(*) > 1
GUARD-SQL: An aggregate stands in the select list, HAVING or ORDER BY, and in no other aggregate.

SELECT max(customer_id), full_name FROM customer
GUARD-SQL: A column beside an aggregate has to stand in GROUP BY.

SELECT *, count(*) FROM customer
GUARD-SQL: A column beside an aggregate has to stand in GROUP BY.

SELECT full_name FROM customer HAVING 1
GUARD-SQL: HAVING goes with GROUP BY.

SELECT full_name FROM customer ORDER BY 2
GUARD-SQL: A position in GROUP BY or ORDER BY needs a select list without a star, and its place in it.

SELECT *, full_name FROM customer ORDER BY 1
GUARD-SQL: A position in GROUP BY or ORDER BY needs a select list without a star, and its place in it.

SELECT full_name FROM customer ORDER BY (1)
GUARD-SQL: A constant is no order: name a column or a position of the select list.

SELECT full_name FROM customer LIMIT 1 + 1
GUARD-SQL: LIMIT and OFFSET are a whole number or a parameter.

SELECT full_name FROM customer WHERE monthly_income > 3
GUARD-SQL-DROPPED: Leave out: monthly_income.

SELECT monthly_income FROM customer ORDER BY 1
GUARD-SQL-DROPPED: Leave out: monthly_income.

SELECT count(monthly_income) FROM customer
GUARD-SQL-DROPPED: Leave out: monthly_income.

SELECT lower(ended_on) FROM customer
GUARD-SQL-DROPPED: Leave out: ended_on.

SELECT full_name FROM customer WHERE customer_id = 1 LIKE '1'
GUARD-SQL: It mixes operators that are read in different ways: write parentheses.

SELECT full_name FROM customer WHERE +customer_id = 1
GUARD-SQL: It uses + as a sign: leave it out.

SELECT x'00'
GUARD-SQL: Write numbers in decimal, and pass bytes as a parameter.

SELECT CAST(full_name AS NUMERIC) FROM customer
GUARD-SQL: CAST is built for TEXT, INTEGER and REAL.

SELECT full_name FROM customer WHERE full_name = ? AND mobile = :mobile
GUARD-SQL: Parameters are all ? or all :name.

SELECT full_name FROM customer WHERE customer_id = ?1
GUARD-SQL: It cannot be read.

SELECT full_name AS 姓名 FROM customer
GUARD-SQL-COLUMN: A name beyond ASCII is not one that the catalogue spells.

SELECT full_name FROM customer /*! x */
GUARD-SQL: A comment holds more than a remark: remove it.

SELECT full_name AS guard_x FROM customer
GUARD-SQL: Names that begin with guard_ are the guard's own.

SELECT full_name FROM
GUARD-SQL: It cannot be read.

SELECT
GUARD-SQL: Its select list cannot be read.

SELECT full_name FROM customer NATURAL JOIN loan_case
GUARD-SQL: A NATURAL join is not built yet.

SELECT full_name FROM customer, LATERAL (SELECT 1 AS one) AS x
GUARD-SQL: A lateral table is not built yet.

WITH RECURSIVE x AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM x) SELECT n FROM x
GUARD-SQL: WITH RECURSIVE is not built yet.

SELECT n FROM (WITH x AS (SELECT 1 AS n) SELECT n FROM x) AS y
GUARD-SQL: WITH stands at the beginning of the statement only.

WITH x AS (WITH y AS (SELECT 1 AS n) SELECT n FROM y) SELECT n FROM x
GUARD-SQL: WITH stands at the beginning of the statement only.

WITH x AS (SELECT 1 AS n), X AS (SELECT 2 AS n) SELECT n FROM x
GUARD-SQL: Two parts of WITH have one name.

WITH x AS MATERIALIZED (SELECT 1 AS n) SELECT n FROM x
GUARD-SQL: MATERIALIZED is not built yet.

SELECT full_name FROM customer WHERE customer_id = ANY (SELECT 1)
GUARD-SQL: ANY, SOME and ALL are not built yet: use IN or EXISTS.

SELECT full_name FROM customer WHERE customer_id > ALL (SELECT 1)
GUARD-SQL: ANY, SOME and ALL are not built yet: use IN or EXISTS.

SELECT DISTINCT ON (full_name) full_name FROM customer
GUARD-SQL: DISTINCT ON is not built yet.

SELECT customer_id FROM customer c JOIN loan_case k ON k.customer_id = c.customer_id
GUARD-SQL-COLUMN: A column is in two sources: write which one before it.

SELECT c.customer_id FROM customer c JOIN loan c ON 1 = 1
GUARD-SQL-COLUMN: Two sources have one name: give each an alias of its own.

SELECT (SELECT count(*) OVER () FROM loan LIMIT 1) AS n FROM customer
GUARD-SQL: A window stands in no subquery of an expression: use a derived table.

SELECT full_name FROM customer WHERE customer_id IN (SELECT row_number() OVER () FROM loan)
GUARD-SQL: A window stands in no subquery of an expression: use a derived table.

SELECT full_name FROM customer WHERE row_number() OVER () = 1
GUARD-SQL: A window stands in the select list or ORDER BY.

SELECT full_name FROM customer UNION SELECT loan_id, status FROM loan
GUARD-SQL: The parts of a set operation have one number of columns.

SELECT full_name FROM customer WHERE customer_id = (SELECT loan_id, principal FROM loan)
GUARD-SQL: A subquery in an expression has one column.

SELECT full_name FROM customer WHERE customer_id IN (SELECT loan_id FROM loan UNION SELECT 1 LIMIT 1)
GUARD-SQL: A set operation in an expression has no ORDER BY and no LIMIT: use a derived table.

SELECT DISTINCT full_name FROM customer ORDER BY mobile
GUARD-SQL: What DISTINCT or a set operation is ordered by stands in its select list.

SELECT monthly_income FROM customer UNION SELECT principal FROM loan
GUARD-SQL-DROPPED: Leave out: monthly_income.

SELECT x.m FROM (SELECT monthly_income AS m FROM customer) AS x WHERE x.m > 1
GUARD-SQL-DROPPED: Leave out: monthly_income.

SELECT full_name FROM customer JOIN loan ON monthly_income = principal
GUARD-SQL-DROPPED: Leave out: monthly_income.

SELECT full_name FROM customer WHERE EXISTS (SELECT 1 FROM loan WHERE opened_at > '2020')
GUARD-SQL-DROPPED: Leave out: opened_at.

INSERT INTO customer (customer_id) VALUES (1) ON CONFLICT DO NOTHING
GUARD-SQL: ON CONFLICT is not built yet.

INSERT INTO customer (customer_id) VALUES (1) RETURNING customer_id
GUARD-SQL: RETURNING is not built yet.

UPDATE customer SET full_name = 'x' RETURNING mobile
GUARD-SQL: RETURNING is not built yet.

DELETE FROM customer RETURNING id_number
GUARD-SQL: RETURNING is not built yet.

INSERT OR REPLACE INTO customer (customer_id) VALUES (1)
GUARD-SQL: OR REPLACE, OR IGNORE and the like is not built yet.

INSERT OR IGNORE INTO customer (customer_id) VALUES (1)
GUARD-SQL: OR REPLACE, OR IGNORE and the like is not built yet.

REPLACE INTO customer (customer_id) VALUES (1)
GUARD-SQL: Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the connection; tables are made and altered by a connection that is not guarded.

UPDATE OR IGNORE customer SET full_name = 'x'
GUARD-SQL: It cannot be read.

INSERT INTO customer (customer_id) SELECT loan_id FROM loan
GUARD-SQL: A subquery is not built here yet.

INSERT INTO customer VALUES (1)
GUARD-SQL: An INSERT names its columns and has VALUES.

INSERT INTO customer DEFAULT VALUES
GUARD-SQL: DEFAULT VALUES is not built yet.

INSERT INTO customer (customer_id, full_name) VALUES (1)
GUARD-SQL: Each row of VALUES has a value for each of the columns.

INSERT INTO customer (customer_id, customer_id) VALUES (1, 2)
GUARD-SQL: It writes a column twice.

INSERT INTO customer (customer_id) VALUES (mobile)
GUARD-SQL: A value of an INSERT is no column.

INSERT INTO customer (nothing) VALUES (1)
GUARD-SQL-COLUMN: The column nothing is not in the catalogue: declare it there, or leave it out.

INSERT INTO guard_grant (subject) VALUES ('1')
GUARD-SQL-TABLE: The table is not in the catalogue.

UPDATE customer SET full_name = status FROM loan
GUARD-SQL: UPDATE with FROM is not built yet.

UPDATE customer SET full_name = (SELECT status FROM loan)
GUARD-SQL: A write has no subquery: read first, then write.

UPDATE customer SET full_name = 'x' WHERE customer_id IN (SELECT loan_id FROM loan)
GUARD-SQL: A write has no subquery: read first, then write.

UPDATE customer SET full_name = 'x' WHERE EXISTS (SELECT 1)
GUARD-SQL: A write has no subquery: read first, then write.

UPDATE customer SET full_name = 'x', full_name = 'y'
GUARD-SQL: It writes a column twice.

UPDATE customer SET full_name = 'x' LIMIT 1
GUARD-SQL: Update with 'limit' is not built yet.

UPDATE customer SET full_name = count(*)
GUARD-SQL: An aggregate stands in the select list, HAVING or ORDER BY, and in no other aggregate.

UPDATE sqlite_schema SET sql = ''
GUARD-SQL-TABLE: The table is not in the catalogue.

DELETE FROM customer WHERE customer_id IN (SELECT loan_id FROM loan)
GUARD-SQL: A write has no subquery: read first, then write.

DELETE FROM customer ORDER BY mobile LIMIT 1
GUARD-SQL: Delete with 'order' is not built yet.

WITH x AS (SELECT 1 AS n) DELETE FROM customer
GUARD-SQL: Delete with 'with_' is not built yet.

WITH x AS (DELETE FROM customer RETURNING id_number) SELECT 1
GUARD-SQL: RETURNING is not built yet.

SELECT full_name FROM customer JOIN loan USING (nothing)
GUARD-SQL-COLUMN: The column nothing is not in the catalogue: declare it there, or leave it out.

UPDATE customer SET full_name = 'x'
GUARD-SQL-WRITE: Leave out: full_name.

DELETE FROM customer
GUARD-SQL-WRITE: Leave out: customer_id, full_name, id_number, mobile, monthly_income, grade, ended_on, frozen, 住址.

INSERT INTO customer (full_name) VALUES ('x')
GUARD-SQL-WRITE: Leave out: full_name.

MERGE INTO customer USING loan ON 1 = 1 WHEN MATCHED THEN DELETE
GUARD-SQL: Only SELECT, INSERT, UPDATE and DELETE are built. A transaction is ended by commit() and rollback() of the connection; tables are made and altered by a connection that is not guarded.
