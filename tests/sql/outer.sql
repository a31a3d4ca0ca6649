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
SELECT "t0"."status" AS "status", SUM("t0"."principal") AS "sum(principal)", AVG("t0"."principal") AS "avg(principal)", MIN("t0"."principal") AS "min(principal)", MAX("t0"."principal") AS "max(principal)", total("t0"."principal") AS "total(principal)", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0", JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_1") AS "guard_person_1" FROM loan[principal, status] AS "t0" GROUP BY "t0"."status"

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

SELECT c.full_name, l.principal FROM customer c JOIN loan AS l ON l.holder_key = c.customer_id WHERE l.status = 'open'
SELECT "t0"."full_name" AS "full_name", "t1"."principal" AS "principal", "t0"."guard_person_0" AS "guard_person_0", "t1"."guard_person_0" AS "guard_person_1", "t1"."guard_person_1" AS "guard_person_2" FROM customer[customer_id, full_name] AS "t0" JOIN loan[holder_key, principal, status] AS "t1" ON "t1"."holder_key" = "t0"."customer_id" WHERE "t1"."status" = 'open'

SELECT c.full_name FROM customer c LEFT JOIN loan ON holder_key = customer_id AND principal > 5
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0", "t1"."guard_person_0" AS "guard_person_1", "t1"."guard_person_1" AS "guard_person_2" FROM customer[customer_id, full_name] AS "t0" LEFT JOIN loan[holder_key, principal] AS "t1" ON "t1"."holder_key" = "t0"."customer_id" AND "t1"."principal" > 5

SELECT a.loan_id, b.loan_id AS other FROM loan a, loan b WHERE a.holder_key = b.holder_key
SELECT "t0"."loan_id" AS "loan_id", "t1"."loan_id" AS "other", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1", "t1"."guard_person_0" AS "guard_person_2", "t1"."guard_person_1" AS "guard_person_3" FROM loan[loan_id, holder_key] AS "t0" CROSS JOIN loan[loan_id, holder_key] AS "t1" WHERE "t0"."holder_key" = "t1"."holder_key"

SELECT l.loan_id, city FROM loan l CROSS JOIN branch
SELECT "t0"."loan_id" AS "loan_id", "t1"."city" AS "city", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id] AS "t0" CROSS JOIN "main"."branch" AS "t1"

SELECT * FROM branch JOIN (SELECT branch_id, city AS town FROM branch) b USING (branch_id)
SELECT "t0"."branch_id" AS "branch_id", "t0"."city" AS "city", "t1"."c1" AS "town" FROM "main"."branch" AS "t0" JOIN (SELECT "t2"."branch_id" AS "c0", "t2"."city" AS "c1" FROM "main"."branch" AS "t2") AS "t1" ON "t0"."branch_id" = "t1"."c0"

SELECT x.name FROM (SELECT full_name AS name, grade FROM customer) AS x WHERE x.grade = 'A' ORDER BY name
SELECT "t0"."c0" AS "name", "t0"."guard_person_0" AS "guard_person_0" FROM (SELECT "t1"."full_name" AS "c0", "t1"."grade" AS "c1", "t1"."guard_person_0" AS "guard_person_0" FROM customer[full_name, grade] AS "t1") AS "t0" WHERE "t0"."c1" = 'A' ORDER BY "t0"."c0"

SELECT g, n FROM (SELECT grade AS g, count(*) AS n FROM customer GROUP BY grade) AS x WHERE n > 1
SELECT "t0"."c0" AS "g", "t0"."c1" AS "n", "t0"."guard_person_0" AS "guard_person_0" FROM (SELECT "t1"."grade" AS "c0", COUNT(*) AS "c1", JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_0") AS "guard_person_0" FROM customer[grade] AS "t1" GROUP BY "t1"."grade") AS "t0" WHERE "t0"."c1" > 1

WITH open (id) AS (SELECT holder_key FROM loan WHERE status = 'open') SELECT full_name FROM customer JOIN open ON id = customer_id
WITH "guard_cte_0" AS (SELECT "t0"."holder_key" AS "c0", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[holder_key, status] AS "t0" WHERE "t0"."status" = 'open') SELECT "t1"."full_name" AS "full_name", "t1"."guard_person_0" AS "guard_person_0", "t2"."guard_person_0" AS "guard_person_1", "t2"."guard_person_1" AS "guard_person_2" FROM customer[customer_id, full_name] AS "t1" JOIN "guard_cte_0" AS "t2" ON "t2"."c0" = "t1"."customer_id"

WITH customer AS (SELECT loan_id FROM loan) SELECT * FROM customer
WITH "guard_cte_0" AS (SELECT "t0"."loan_id" AS "c0", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id] AS "t0") SELECT "t1"."c0" AS "loan_id", "t1"."guard_person_0" AS "guard_person_0", "t1"."guard_person_1" AS "guard_person_1" FROM "guard_cte_0" AS "t1"

SELECT full_name FROM customer c WHERE EXISTS (SELECT status FROM loan WHERE holder_key = c.customer_id)
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0", (SELECT JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_0") AS "guard_person_0" FROM loan[holder_key] AS "t1" WHERE "t1"."holder_key" = "t0"."customer_id") AS "guard_person_1", (SELECT JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_1") AS "guard_person_0" FROM loan[holder_key] AS "t1" WHERE "t1"."holder_key" = "t0"."customer_id") AS "guard_person_2" FROM customer[customer_id, full_name] AS "t0" WHERE EXISTS(SELECT 1 AS "c0" FROM loan[holder_key] AS "t1" WHERE "t1"."holder_key" = "t0"."customer_id")

SELECT full_name FROM customer WHERE customer_id IN (SELECT holder_key FROM loan WHERE principal > ?)
SELECT "t3"."c0" AS "full_name", "t3"."guard_person_0" AS "guard_person_0", CASE WHEN "t3"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_0") AS "guard_person_0" FROM loan[holder_key, principal] AS "t1" WHERE "t1"."principal" > :u0) END AS "guard_person_1", CASE WHEN "t3"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_1") AS "guard_person_0" FROM loan[holder_key, principal] AS "t1" WHERE "t1"."principal" > :u0) END AS "guard_person_2" FROM (SELECT "t2"."c0" AS "c0", "t2"."guard_person_0" AS "guard_person_0", ROW_NUMBER() OVER () AS "guard_row" FROM (SELECT "t0"."full_name" AS "c0", "t0"."guard_person_0" AS "guard_person_0" FROM customer[customer_id, full_name] AS "t0" WHERE "t0"."customer_id" IN (SELECT "t1"."holder_key" AS "c0" FROM loan[holder_key, principal] AS "t1" WHERE "t1"."principal" > :u0)) AS "t2") AS "t3" ORDER BY "t3"."guard_row"

SELECT full_name, (SELECT max(principal) FROM loan WHERE holder_key = customer_id) AS most FROM customer
SELECT "t0"."full_name" AS "full_name", (SELECT MAX("t1"."principal") AS "c0" FROM loan[holder_key, principal] AS "t1" WHERE "t1"."holder_key" = "t0"."customer_id") AS "most", "t0"."guard_person_0" AS "guard_person_0", (SELECT JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_0") AS "guard_person_0" FROM loan[holder_key, principal] AS "t1" WHERE "t1"."holder_key" = "t0"."customer_id") AS "guard_person_1", (SELECT JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_1") AS "guard_person_0" FROM loan[holder_key, principal] AS "t1" WHERE "t1"."holder_key" = "t0"."customer_id") AS "guard_person_2" FROM customer[customer_id, full_name] AS "t0"

SELECT full_name FROM customer WHERE customer_id = (SELECT min(branch_id) FROM branch)
SELECT "t0"."full_name" AS "full_name", "t0"."guard_person_0" AS "guard_person_0" FROM customer[customer_id, full_name] AS "t0" WHERE "t0"."customer_id" = (SELECT MIN("t1"."branch_id") AS "c0" FROM "main"."branch" AS "t1")

SELECT full_name FROM customer UNION SELECT status FROM loan ORDER BY 1
SELECT "t2"."c0" AS "full_name", JSON_GROUP_ARRAY(DISTINCT "t2"."guard_person_0") AS "guard_person_0", JSON_GROUP_ARRAY(DISTINCT "t2"."guard_person_1") AS "guard_person_1" FROM (SELECT "t0"."full_name" AS "c0", "t0"."guard_person_0" AS "guard_person_0", CAST(NULL AS TEXT) AS "guard_person_1" FROM customer[full_name] AS "t0" UNION ALL SELECT "t1"."status" AS "c0", "t1"."guard_person_0" AS "guard_person_0", "t1"."guard_person_1" AS "guard_person_1" FROM loan[status] AS "t1") AS "t2" GROUP BY "t2"."c0" ORDER BY "t2"."c0"

SELECT full_name AS x FROM customer UNION ALL SELECT city FROM branch ORDER BY x LIMIT 3
SELECT "t2"."c0" AS "x", "t2"."guard_person_0" AS "guard_person_0" FROM (SELECT "t0"."full_name" AS "c0", "t0"."guard_person_0" AS "guard_person_0" FROM customer[full_name] AS "t0" UNION ALL SELECT "t1"."city" AS "c0", CAST(NULL AS TEXT) AS "guard_person_0" FROM "main"."branch" AS "t1") AS "t2" ORDER BY "t2"."c0" LIMIT 3

SELECT holder_key FROM loan EXCEPT SELECT full_name FROM customer
SELECT "t6"."c0" AS "holder_key", CASE WHEN "t6"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t2"."guard_person_0") AS "guard_person_0" FROM (SELECT "t0"."holder_key" AS "c0", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[holder_key] AS "t0") AS "t2") END AS "guard_person_0", CASE WHEN "t6"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t2"."guard_person_1") AS "guard_person_0" FROM (SELECT "t0"."holder_key" AS "c0", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[holder_key] AS "t0") AS "t2") END AS "guard_person_1", CASE WHEN "t6"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t3"."guard_person_0") AS "guard_person_0" FROM (SELECT "t1"."full_name" AS "c0", "t1"."guard_person_0" AS "guard_person_0" FROM customer[full_name] AS "t1") AS "t3") END AS "guard_person_2" FROM (SELECT "t5"."c0" AS "c0", ROW_NUMBER() OVER () AS "guard_row" FROM (SELECT "t4"."c0" AS "c0" FROM (SELECT "t0"."holder_key" AS "c0" FROM loan[holder_key] AS "t0" EXCEPT SELECT "t1"."full_name" AS "c0" FROM customer[full_name] AS "t1") AS "t4") AS "t5") AS "t6" ORDER BY "t6"."guard_row"

SELECT holder_key FROM loan INTERSECT SELECT status FROM loan
SELECT "t6"."c0" AS "holder_key", CASE WHEN "t6"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t2"."guard_person_0") AS "guard_person_0" FROM (SELECT "t0"."holder_key" AS "c0", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[holder_key] AS "t0") AS "t2") END AS "guard_person_0", CASE WHEN "t6"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t2"."guard_person_1") AS "guard_person_0" FROM (SELECT "t0"."holder_key" AS "c0", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[holder_key] AS "t0") AS "t2") END AS "guard_person_1", CASE WHEN "t6"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t3"."guard_person_0") AS "guard_person_0" FROM (SELECT "t1"."status" AS "c0", "t1"."guard_person_0" AS "guard_person_0", "t1"."guard_person_1" AS "guard_person_1" FROM loan[status] AS "t1") AS "t3") END AS "guard_person_2", CASE WHEN "t6"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t3"."guard_person_1") AS "guard_person_0" FROM (SELECT "t1"."status" AS "c0", "t1"."guard_person_0" AS "guard_person_0", "t1"."guard_person_1" AS "guard_person_1" FROM loan[status] AS "t1") AS "t3") END AS "guard_person_3" FROM (SELECT "t5"."c0" AS "c0", ROW_NUMBER() OVER () AS "guard_row" FROM (SELECT "t4"."c0" AS "c0" FROM (SELECT "t0"."holder_key" AS "c0" FROM loan[holder_key] AS "t0" INTERSECT SELECT "t1"."status" AS "c0" FROM loan[status] AS "t1") AS "t4") AS "t5") AS "t6" ORDER BY "t6"."guard_row"

SELECT DISTINCT grade FROM customer ORDER BY grade LIMIT 2
SELECT "t1"."c0" AS "grade", JSON_GROUP_ARRAY(DISTINCT "t1"."guard_person_0") AS "guard_person_0" FROM (SELECT "t0"."grade" AS "c0", "t0"."guard_person_0" AS "guard_person_0" FROM customer[grade] AS "t0") AS "t1" GROUP BY "t1"."c0" ORDER BY "t1"."c0" LIMIT 2

SELECT DISTINCT city FROM branch
SELECT DISTINCT "t0"."city" AS "city" FROM "main"."branch" AS "t0"

SELECT loan_id, row_number() OVER (PARTITION BY status ORDER BY principal DESC) AS place FROM loan
SELECT "t2"."c0" AS "loan_id", "t2"."c1" AS "place", "t2"."guard_person_0" AS "guard_person_0", "t2"."guard_person_1" AS "guard_person_1", CASE WHEN "t2"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0" FROM loan[loan_id, principal, status] AS "t0") END AS "guard_person_2", CASE WHEN "t2"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_1") AS "guard_person_0" FROM loan[loan_id, principal, status] AS "t0") END AS "guard_person_3" FROM (SELECT "t1"."c0" AS "c0", "t1"."c1" AS "c1", "t1"."guard_person_0" AS "guard_person_0", "t1"."guard_person_1" AS "guard_person_1", ROW_NUMBER() OVER () AS "guard_row" FROM (SELECT "t0"."loan_id" AS "c0", ROW_NUMBER() OVER (PARTITION BY "t0"."status" ORDER BY "t0"."principal" DESC) AS "c1", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1" FROM loan[loan_id, principal, status] AS "t0") AS "t1") AS "t2" ORDER BY "t2"."guard_row"

SELECT loan_id, sum(principal) OVER (ORDER BY loan_id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM loan ORDER BY s
SELECT "t2"."c0" AS "loan_id", "t2"."c1" AS "s", "t2"."guard_person_0" AS "guard_person_0", "t2"."guard_person_1" AS "guard_person_1", CASE WHEN "t2"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_0") AS "guard_person_0" FROM loan[loan_id, principal] AS "t0") END AS "guard_person_2", CASE WHEN "t2"."guard_row" = 1 THEN (SELECT JSON_GROUP_ARRAY(DISTINCT "t0"."guard_person_1") AS "guard_person_0" FROM loan[loan_id, principal] AS "t0") END AS "guard_person_3" FROM (SELECT "t1"."c0" AS "c0", "t1"."c1" AS "c1", "t1"."guard_person_0" AS "guard_person_0", "t1"."guard_person_1" AS "guard_person_1", ROW_NUMBER() OVER (ORDER BY "t1"."guard_order_0") AS "guard_row" FROM (SELECT "t0"."loan_id" AS "c0", SUM("t0"."principal") OVER (ORDER BY "t0"."loan_id" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS "c1", "t0"."guard_person_0" AS "guard_person_0", "t0"."guard_person_1" AS "guard_person_1", (SUM("t0"."principal") OVER (ORDER BY "t0"."loan_id" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)) AS "guard_order_0" FROM loan[loan_id, principal] AS "t0" ORDER BY (SUM("t0"."principal") OVER (ORDER BY "t0"."loan_id" ROWS BETWEEN 1 PRECEDING AND CURRENT ROW))) AS "t1") AS "t2" ORDER BY "t2"."guard_row"
