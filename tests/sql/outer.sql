SELECT full_name FROM customer
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name] AS "t0"

SELECT full_name FROM customer WHERE customer_id = ?
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[customer_id, full_name] AS "t0" WHERE "t0"."customer_id" = :u0

SELECT c.full_name AS name, c.id_number FROM customer AS c WHERE c.mobile LIKE '138%' ORDER BY name
SELECT "t0"."full_name" AS "name", "t0"."id_number" AS "id_number", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name, id_number, mobile] AS "t0" WHERE "t0"."mobile" LIKE '138%' ORDER BY "t0"."full_name"

SELECT * FROM loan
SELECT "t0"."loan_id" AS "loan_id", "t0"."holder_key" AS "holder_key", "t0"."principal" AS "principal", "t0"."status" AS "status", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, holder_key, guarantor_key, principal, status, opened_at] AS "t0"

SELECT l.*, l.status AS again FROM main.loan l ORDER BY l.loan_id DESC LIMIT 10 OFFSET 5
SELECT "t0"."loan_id" AS "loan_id", "t0"."holder_key" AS "holder_key", "t0"."principal" AS "principal", "t0"."status" AS "status", "t0"."status" AS "again", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, holder_key, guarantor_key, principal, status, opened_at] AS "t0" ORDER BY "t0"."loan_id" DESC LIMIT 10 OFFSET 5

SELECT loan_id FROM loan LIMIT 5, 10
SELECT "t0"."loan_id" AS "loan_id", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id] AS "t0" LIMIT 10 OFFSET 5

SELECT monthly_income, full_name FROM customer
SELECT "t0"."monthly_income" AS "monthly_income", "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name, monthly_income] AS "t0"

SELECT ended_on AS day FROM customer
SELECT "t0"."ended_on" AS "day", "t0"."guard_person_0" AS "guard_person_0" FROM customer[ended_on] AS "t0"

SELECT "住址", 住址 AS "grade" FROM "customer"
SELECT "t0"."住址" AS "住址", "t0"."住址" AS "grade", "t0"."guard_person_0" AS "guard_person_0" FROM customer[住址] AS "t0"

SELECT count(*) FROM customer
SELECT COUNT(*) AS "count(*)", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0" FROM customer[] AS "t0"

SELECT count(*) AS n, count(DISTINCT grade) FROM customer WHERE frozen IS NOT TRUE
SELECT COUNT(*) AS "n", COUNT(DISTINCT "t0"."grade") AS "count(DISTINCT grade)", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0" FROM customer[grade, frozen] AS "t0" WHERE NOT "t0"."frozen" IS TRUE

SELECT grade, count(*) AS n FROM customer GROUP BY grade HAVING n > 1 ORDER BY n DESC, 1
SELECT "t0"."grade" AS "grade", COUNT(*) AS "n", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0" FROM customer[grade] AS "t0" GROUP BY "t0"."grade" HAVING (COUNT(*)) > 1 ORDER BY (COUNT(*)) DESC, "t0"."grade"

SELECT lower(full_name) AS full_name FROM customer ORDER BY full_name
SELECT LOWER("t0"."full_name") AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name] AS "t0" ORDER BY (LOWER("t0"."full_name"))

SELECT lower(full_name) AS full_name, count(*) FROM customer GROUP BY 1
SELECT LOWER("t0"."full_name") AS "full_name", COUNT(*) AS "count(*)", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0" FROM customer[full_name] AS "t0" GROUP BY (LOWER("t0"."full_name"))

SELECT status, sum(principal), avg(principal), min(principal), max(principal), total(principal) FROM loan GROUP BY status
SELECT "t0"."status" AS "status", SUM("t0"."principal") AS "sum(principal)", AVG("t0"."principal") AS "avg(principal)", MIN("t0"."principal") AS "min(principal)", MAX("t0"."principal") AS "max(principal)", TOTAL("t0"."principal") AS "total(principal)", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_1") AS "guard_person_1" FROM loan[principal, status] AS "t0" GROUP BY "t0"."status"

SELECT loan_id FROM loan WHERE status IN ('open', ?, ?) AND principal BETWEEN ? AND ? OR NOT (loan_id <> 3)
SELECT "t0"."loan_id" AS "loan_id", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, principal, status] AS "t0" WHERE "t0"."status" IN ('open', :u0, :u1) AND "t0"."principal" BETWEEN :u2 AND :u3 OR NOT ("t0"."loan_id" <> 3)

SELECT loan_id FROM loan WHERE status = :status AND principal > @least AND loan_id < $most AND status <> :status
SELECT "t0"."loan_id" AS "loan_id", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, principal, status] AS "t0" WHERE "t0"."status" = :u0 AND "t0"."principal" > :u1 AND "t0"."loan_id" < :u2 AND "t0"."status" <> :u0

SELECT loan_id FROM loan WHERE status NOT LIKE '!%%' ESCAPE '!' AND status IS NOT NULL AND holder_key IS NULL
SELECT "t0"."loan_id" AS "loan_id", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, holder_key, status] AS "t0" WHERE "t0"."status" NOT LIKE '!%%' ESCAPE '!' AND NOT "t0"."status" IS NULL AND "t0"."holder_key" IS NULL

SELECT CASE WHEN principal > 100 THEN 'much' ELSE coalesce(status, 'none') END AS size FROM loan
SELECT CASE WHEN "t0"."principal" > 100 THEN 'much' ELSE COALESCE("t0"."status", 'none') END AS "size", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[principal, status] AS "t0"

SELECT CASE status WHEN 'open' THEN 1 END FROM loan
SELECT CASE "t0"."status" WHEN 'open' THEN 1 END AS "CASE status WHEN 'open' THEN 1 END", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[status] AS "t0"

SELECT upper(substr(trim(full_name), 1, 2)) || '.' AS short, length(full_name) FROM customer
SELECT UPPER(SUBSTRING(TRIM("t0"."full_name"), 1, 2)) || '.' AS "short", LENGTH("t0"."full_name") AS "length(full_name)", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name] AS "t0"

SELECT round(principal / 3, 2), principal % 7, -principal FROM loan
SELECT ROUND("t0"."principal" / 3, 2) AS "round(principal / 3, 2)", "t0"."principal" % 7 AS "principal % 7", -"t0"."principal" AS "-principal", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[principal] AS "t0"

SELECT CAST(principal AS INTEGER), CAST(loan_id AS TEXT) FROM loan
SELECT CAST("t0"."principal" AS INTEGER) AS "CAST(principal AS INTEGER)", CAST("t0"."loan_id" AS TEXT) AS "CAST(loan_id AS TEXT)", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, principal] AS "t0"

SELECT ifnull(status, ''), nullif(status, 'open'), instr(status, 'o'), ltrim(status), rtrim(status, 'n') FROM loan
SELECT COALESCE("t0"."status", '') AS "ifnull(status, '')", NULLIF("t0"."status", 'open') AS "nullif(status, 'open')", INSTR("t0"."status", 'o') AS "instr(status, 'o')", LTRIM("t0"."status") AS "ltrim(status)", RTRIM("t0"."status", 'n') AS "rtrim(status, 'n')", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[status] AS "t0"

SELECT loan_id FROM loan WHERE status IS 'open' AND loan_id IS NOT 3
SELECT "t0"."loan_id" AS "loan_id", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, status] AS "t0" WHERE "t0"."status" IS 'open' AND "t0"."loan_id" IS NOT 3

SELECT FULL_NAME FROM Customer WHERE CUSTOMER.Customer_Id == 1
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[customer_id, full_name] AS "t0" WHERE "t0"."customer_id" = 1

SELECT full_name /* of the person */ FROM customer -- for the form
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name] AS "t0"

SELECT [full_name], `mobile` FROM [customer];
SELECT "t0"."full_name" AS "full_name", "t0"."mobile" AS "mobile", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name, mobile] AS "t0"

SELECT main.customer.full_name FROM main.customer
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name] AS "t0"

SELECT 1
SELECT 1 AS "1"

SELECT 1 + ? AS two, 'x'
SELECT 1 + :u0 AS "two", 'x' AS "'x'"

SELECT city FROM branch WHERE branch_id = ?
SELECT "t0"."city" AS "city" FROM "main"."branch" AS "t0" WHERE "t0"."branch_id" = :u0

SELECT b.* FROM branch AS b
SELECT "t0"."branch_id" AS "branch_id", "t0"."city" AS "city" FROM "main"."branch" AS "t0"

SELECT city, count(*) FROM branch GROUP BY city
SELECT "t0"."city" AS "city", COUNT(*) AS "count(*)" FROM "main"."branch" AS "t0" GROUP BY "t0"."city"

SELECT * FROM branch ORDER BY city LIMIT ?
SELECT "t0"."branch_id" AS "branch_id", "t0"."city" AS "city" FROM "main"."branch" AS "t0" ORDER BY "t0"."city" LIMIT :u0
