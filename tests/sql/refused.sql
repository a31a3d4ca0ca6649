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
GUARD-SQL-COLUMN: The column rowid is not in the catalogue.

SELECT full_name FROM customer WHERE full_name = "王小明"
GUARD-SQL-COLUMN: A name beyond ASCII is not one that the catalogue spells.

SELECT full_name FROM customer WHERE full_name = "wang"
GUARD-SQL-COLUMN: The column in quotes is not in the catalogue; a text is written with single quotes.

SELECT nothing FROM customer
GUARD-SQL-COLUMN: The column nothing is not in the catalogue.

SELECT o.full_name FROM customer c
GUARD-SQL-COLUMN: A column is qualified by a name that no source has here.

SELECT customer.full_name FROM customer c
GUARD-SQL-COLUMN: A column is qualified by a name that no source has here.

SELECT x FROM unknown
GUARD-SQL-TABLE: The table unknown is not in the catalogue.

SELECT x FROM temp.customer
GUARD-SQL-TABLE: The table customer is not in the catalogue.

SELECT x FROM other.customer
GUARD-SQL-TABLE: The table customer is not in the catalogue.

SELECT * FROM sqlite_schema
GUARD-SQL-TABLE: The table sqlite_schema is not in the catalogue.

SELECT * FROM guard_grant
GUARD-SQL-TABLE: The table guard_grant is not in the catalogue.

SELECT abs(customer_id) FROM customer
GUARD-SQL-FUNCTION: abs is not on the list.

SELECT json_extract(full_name, '$') FROM customer
GUARD-SQL-FUNCTION: json_extract_scalar is not on the list.

SELECT hex(full_name) FROM customer
GUARD-SQL-FUNCTION: hex is not on the list.

SELECT random()
GUARD-SQL-FUNCTION: rand is not on the list.

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
