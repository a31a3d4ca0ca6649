SELECT id, name FROM person
SELECT * FROM person
SELECT * FROM "order"
SELECT "group", "select", "rowid", "from", "order" FROM "order"
SELECT rowid FROM "order"
SELECT oid FROM "order"
SELECT _rowid_ FROM "order"
SELECT ROWID FROM person
SELECT oid FROM person
SELECT _rowid_ FROM keyed
SELECT "rowid" FROM person
SELECT person.rowid FROM person
SELECT p.oid FROM person AS p
SELECT x.rowid FROM (SELECT name FROM person) AS x
SELECT id AS rowid FROM person ORDER BY rowid
SELECT name AS rowid FROM person WHERE rowid > 1
SELECT name AS oid FROM person GROUP BY oid
SELECT first FROM person
SELECT first, name FROM person
SELECT tail FROM person
SELECT count(tail) FROM person
SELECT name FROM person WHERE tail = '9999'
SELECT id FROM person WHERE first = 'A'
SELECT id FROM person ORDER BY first
SELECT first, count(*) FROM person GROUP BY first
SELECT name FROM person WHERE salary > 1000
SELECT name FROM person WHERE length(ssn) = 18
SELECT count(*) FROM person
SELECT count(*) FROM "order"
SELECT count(*) FROM keyed
SELECT count(*) FROM notes
SELECT body FROM notes
SELECT * FROM notes
SELECT id, body FROM notes WHERE notes = 'CANARY'
SELECT id FROM notes WHERE notes MATCH 'CANARY'
SELECT id FROM notes WHERE body MATCH 'CANARY'
SELECT id FROM notes('CANARY')
SELECT rank FROM notes
SELECT notes FROM notes
SELECT highlight(notes, 0, '[', ']') FROM notes
SELECT bm25(notes) FROM notes
SELECT snippet(notes,0,'','','',5) FROM notes
SELECT * FROM notes_data
SELECT * FROM notes_content
SELECT id FROM notes WHERE body LIKE 'C%'
SELECT id FROM notes WHERE body = 'Ann'
SELECT id FROM notes ORDER BY rank
SELECT * FROM person_view
SELECT name FROM person_view
SELECT id FROM keyed WHERE id = '1'
SELECT id FROM keyed WHERE name = 'ANN'
SELECT name FROM keyed GROUP BY name
SELECT DISTINCT name FROM keyed
SELECT name FROM keyed UNION SELECT name FROM person
SELECT k.name, p.name FROM keyed k JOIN person p USING (id)
SELECT k.name FROM keyed k JOIN person p ON k.name = p.name
SELECT p.name FROM person p JOIN keyed k ON p.name = k.name
SELECT * FROM person JOIN keyed USING (id, name)
SELECT * FROM person NATURAL JOIN keyed
SELECT value FROM json_each('[1,2]')
SELECT value FROM json_each((SELECT note FROM person))
SELECT p.id, j.value FROM person p, json_each(p.note) j
SELECT p.id FROM person p, json_tree(p.note) j
SELECT value FROM pub, json_each(pub.v)
SELECT key, value FROM key
SELECT id FROM key WHERE value = 'v'
SELECT k.key FROM key k JOIN person p ON p.id = k.id
WITH json_each AS (SELECT id FROM pub) SELECT * FROM json_each
WITH person AS (SELECT id FROM pub) SELECT * FROM person
WITH person AS (SELECT id, v AS ssn FROM pub) SELECT ssn FROM person
WITH person AS (SELECT * FROM main.person) SELECT ssn FROM person
WITH x AS (SELECT * FROM person), person AS (SELECT id FROM x) SELECT * FROM main.person
WITH x AS MATERIALIZED (SELECT * FROM person) SELECT * FROM x
WITH x AS NOT MATERIALIZED (SELECT * FROM person) SELECT * FROM x
WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM x WHERE n < 5) SELECT n FROM x
WITH x AS (SELECT 1 UNION SELECT n FROM x) SELECT * FROM x
WITH guard_source_0 AS (SELECT id FROM pub) SELECT * FROM person
WITH guard_cte_0 AS (SELECT id FROM pub) SELECT * FROM guard_cte_0
WITH guard_grant AS (SELECT id FROM pub) SELECT name FROM person
WITH x(a, b) AS (SELECT id, name FROM person) SELECT a, b FROM x
WITH x("rowid") AS (SELECT name FROM person) SELECT rowid FROM x
WITH x("*") AS (SELECT name FROM person) SELECT * FROM x
WITH x("") AS (SELECT name FROM person) SELECT * FROM x
SELECT name, row_number() OVER (ORDER BY name) FROM person
SELECT name, count(*) OVER () FROM person
SELECT name, sum(id) OVER (ORDER BY id ROWS UNBOUNDED PRECEDING) FROM person
SELECT name, lag(name) OVER (ORDER BY id) FROM person
SELECT name, first_value(ssn) OVER (ORDER BY id) FROM person
SELECT name, count(*) OVER (PARTITION BY ssn) FROM person
SELECT name, rank() OVER (ORDER BY ssn) FROM person
SELECT name, ntile(3) OVER (ORDER BY id) FROM person
SELECT name, nth_value(name, 2) OVER (ORDER BY id) FROM person
SELECT name, count(*) FILTER (WHERE ssn > 'a') OVER () FROM person
SELECT name, sum(id) OVER (ORDER BY id RANGE BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM person
SELECT name, sum(id) OVER (ORDER BY id GROUPS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM person
SELECT name, group_concat(name) OVER (ORDER BY id) FROM person
SELECT "ssn" FROM pub
SELECT "nothere" FROM person
SELECT 'ssn' FROM person
SELECT name FROM person WHERE "x" = "x"
SELECT name FROM person WHERE name = "Ann"
SELECT name FROM person WHERE name = "name"
SELECT [name] FROM [person]
SELECT `name` FROM `person`
SELECT 'name' AS "name" FROM person
SELECT name "ssn" FROM person
SELECT name 'ssn' FROM person
SELECT name AS 'a''b' FROM person
SELECT name AS "a""b" FROM person
SELECT name AS [a] FROM person
SELECT name AS `a``b` FROM person
SELECT name AS "guard_person_0" FROM person
SELECT name AS guard_x FROM person
SELECT name AS "GUARD_person_0" FROM person
SELECT name AS c0, ssn AS c0 FROM person
SELECT name AS t0 FROM person AS t0
SELECT t0.name FROM person AS t0 JOIN person AS t1 ON t0.id = t1.id
SELECT "t"."name" FROM person AS "t"
SELECT t.name, g.name FROM person t, person g
SELECT x.name FROM person AS "x" ORDER BY "x"."name"
SELECT name AS ssn FROM person WHERE ssn LIKE 'CAN%'
SELECT name AS ssn FROM person ORDER BY ssn
SELECT name AS ssn FROM person GROUP BY ssn
SELECT name AS ssn FROM person GROUP BY name HAVING ssn > 'A'
SELECT id AS salary FROM person ORDER BY -salary
SELECT ssn AS name FROM person ORDER BY name
SELECT ssn AS name FROM person WHERE name = 'Ann'
SELECT max(ssn), name FROM person
SELECT max(id), name FROM person
SELECT min(name) FROM person
SELECT name FROM person GROUP BY 1
SELECT name FROM person ORDER BY 1 COLLATE NOCASE
SELECT name FROM person ORDER BY name COLLATE BINARY
SELECT name FROM person WHERE name COLLATE NOCASE = 'ann'
SELECT name FROM person WHERE (id, name) = (1, 'Ann')
SELECT name FROM person WHERE (id, ssn) IN (SELECT id, ssn FROM guess)
SELECT name FROM person WHERE (1, 2) < (id, 3)
SELECT name FROM person WHERE id IN (1, 2, 4)
SELECT name FROM person WHERE id IN person
SELECT name FROM person WHERE id IN guess
SELECT name FROM person WHERE id IN (SELECT id FROM guess)
SELECT name FROM person WHERE EXISTS (SELECT 1 FROM person p WHERE p.ssn = person.ssn)
SELECT v FROM pub WHERE EXISTS (SELECT 1 FROM person WHERE person.id = pub.id + 3)
SELECT v FROM pub WHERE (SELECT count(*) FROM person) > 3
SELECT v, (SELECT name FROM person WHERE id = pub.id + 3) FROM pub
SELECT v, (SELECT max(name) FROM person) FROM pub
SELECT name, (SELECT v FROM pub WHERE pub.id = person.id) FROM person
SELECT p.name FROM person p LEFT JOIN guess g ON g.ssn = p.ssn WHERE g.id IS NOT NULL
SELECT g.ssn FROM guess g LEFT JOIN person p ON p.id = g.id WHERE p.id IS NULL
SELECT g.ssn FROM guess g LEFT JOIN person p ON p.id = g.id
SELECT g.id, p.name FROM guess g FULL JOIN person p ON p.id = g.id
SELECT g.id, p.name FROM person p RIGHT JOIN guess g ON p.id = g.id
SELECT name FROM person INDEXED BY rich WHERE salary > 1000
SELECT name FROM person NOT INDEXED
SELECT name FROM person, (SELECT 1) LIMIT 5
SELECT name FROM person LIMIT (SELECT count(*) FROM person)
SELECT name FROM person LIMIT -1
SELECT name FROM person LIMIT 2 OFFSET 1
SELECT name FROM person LIMIT 1, 2
SELECT name FROM person OFFSET 1
SELECT name FROM person ORDER BY (SELECT ssn FROM person LIMIT 1)
SELECT name FROM person ORDER BY random()
SELECT CASE WHEN ssn LIKE 'CANARY%' THEN 1 ELSE 0 END FROM person
SELECT CASE ssn WHEN 'x' THEN 1 END FROM person
SELECT iif(ssn > 'a', 1, 0) FROM person
SELECT coalesce(ssn, name) FROM person
SELECT ifnull(ssn, name) FROM person
SELECT typeof(ssn) FROM person
SELECT length(ssn) FROM person
SELECT hex(ssn) FROM person
SELECT quote(name) FROM person
SELECT unicode(name) FROM person
SELECT printf('%s', name) FROM person
SELECT format('%s', name) FROM person
SELECT name || ssn FROM person
SELECT name -> '$' FROM person
SELECT note ->> 'k' FROM person
SELECT note FROM person
SELECT json_extract(note, '$.k') FROM person
SELECT json(note) FROM person
SELECT json_valid(note) FROM person
SELECT json_group_array(ssn) FROM person
SELECT group_concat(ssn) FROM person
SELECT string_agg(name, ',') FROM person
SELECT total(id), sum(id), avg(id) FROM person
SELECT total(salary) FROM person
SELECT sum(id + 9223372036854775806) FROM person
SELECT abs(id) FROM person
SELECT likely(id) FROM person
SELECT zeroblob(1000000000) FROM person
SELECT randomblob(10) FROM person
SELECT load_extension('x') FROM person
SELECT sqlite_version() FROM person
SELECT changes(), last_insert_rowid() FROM person
SELECT sqlite_offset(name) FROM person
SELECT subtype(name) FROM person
SELECT * FROM sqlite_master
SELECT * FROM sqlite_schema
SELECT * FROM main.sqlite_master
SELECT * FROM pragma_table_info('person')
SELECT * FROM dbstat
SELECT * FROM sqlite_stat1
SELECT * FROM sqlite_sequence
SELECT * FROM temp.sqlite_master
SELECT * FROM generate_series(1, 3)
SELECT * FROM sqlite_dbpage
SELECT * FROM bytecode('SELECT 1')
SELECT * FROM guard_grant
SELECT * FROM main.guard_scope
VALUES (1), (2)
SELECT * FROM (VALUES (1), (2))
SELECT name FROM main.person
SELECT name FROM MAIN.PERSON
SELECT main.person.name FROM person
SELECT main.person.name FROM person AS main
SELECT name FROM temp.person
SELECT name FROM "main"."person" AS "main"
SELECT person.* FROM person
SELECT p.*, p.* FROM person p
SELECT *, ssn FROM person
SELECT * FROM person, pub WHERE person.id = pub.id
SELECT p.id FROM person p CROSS JOIN pub
SELECT name FROM person UNION ALL SELECT ssn FROM person
SELECT ssn FROM person UNION SELECT ssn FROM guess
SELECT ssn FROM guess INTERSECT SELECT ssn FROM person
SELECT ssn FROM guess EXCEPT SELECT ssn FROM person
SELECT id FROM guess EXCEPT SELECT id FROM person
SELECT id FROM guess INTERSECT SELECT id FROM person
SELECT name FROM person WHERE name GLOB 'C*'
SELECT name FROM person WHERE name REGEXP 'C'
SELECT name FROM person WHERE name LIKE 'C%' ESCAPE '!'
SELECT name FROM person WHERE name LIKE name
SELECT name FROM person WHERE name IS NOT DISTINCT FROM 'Ann'
SELECT name FROM person WHERE name IS 'Ann'
SELECT name FROM person WHERE name ISNULL
SELECT name FROM person WHERE name NOTNULL
SELECT name FROM person WHERE NOT name = 'Ann' = 0
SELECT name FROM person WHERE id = 1 = 1
SELECT name FROM person WHERE id BETWEEN 1 AND 2 AND name LIKE 'A%'
SELECT name FROM person WHERE id & 1
SELECT name FROM person WHERE id << 1 > 2
SELECT name FROM person WHERE ~id < 0
SELECT name FROM person WHERE id = +'1'
SELECT name FROM person WHERE +id = '1'
SELECT name FROM person WHERE id = '1'
SELECT name FROM person WHERE id = 1.0
SELECT name FROM person WHERE name = 1
SELECT name FROM person WHERE CAST(ssn AS INTEGER) = 0
SELECT CAST(name AS BLOB) FROM person
SELECT CAST(name AS NUMERIC) FROM person
SELECT id / 0 FROM person
SELECT id % 0 FROM person
SELECT x'00' FROM person
SELECT 1e999 FROM person
SELECT 0x10 FROM person
SELECT 1_000 FROM person
SELECT name FROM person WHERE id = 1 -- ok
SELECT name FROM person /* x */ WHERE id = 1
SELECT name FROM person WHERE id = 1;
SELECT name FROM person;;
SELECT name FROM person WHERE id = $id
SELECT name FROM person WHERE id = @id
SELECT name FROM person WHERE id = ?1
SELECT name FROM person WHERE id = :id
SELECT name FROM person WHERE id = #1
SELECT DISTINCT first FROM person ORDER BY first
SELECT first FROM person UNION SELECT 'x'
SELECT count(DISTINCT first) FROM person
SELECT p.first FROM person p JOIN person q ON p.first = q.first
INSERT INTO person (id, name, first) VALUES (9, 'x', 'y')
UPDATE person SET first = 'x' WHERE id = 1
UPDATE person SET name = 'x' WHERE id = 1 RETURNING ssn
UPDATE OR IGNORE person SET id = 4 WHERE id = 1
UPDATE person SET id = 4 WHERE id = 1
UPDATE person SET name = (SELECT ssn FROM person WHERE id = 4) WHERE id = 1
UPDATE person SET name = ssn WHERE id = 1
UPDATE person AS p SET name = 'x' FROM guess g WHERE g.id = p.id
DELETE FROM person WHERE id = 1
DELETE FROM person WHERE ssn LIKE '9%'
DELETE FROM person ORDER BY ssn LIMIT 1
INSERT INTO pub SELECT id, ssn FROM person
INSERT INTO notes(notes) VALUES('rebuild')
INSERT INTO notes(notes, rank) VALUES('rank', 'bm25(10.0, 5.0)')
REPLACE INTO person (id, name) VALUES (4, 'x')
INSERT INTO person (id, name) VALUES (4, 'x') ON CONFLICT DO NOTHING
CREATE TEMP TABLE x AS SELECT * FROM person
ATTACH 'x' AS y
EXPLAIN SELECT name FROM person
EXPLAIN QUERY PLAN SELECT name FROM person
PRAGMA writable_schema = 1
VACUUM INTO 'x'
ANALYZE person
BEGIN
SELECT name FROM person WHERE id IN (SELECT value FROM json_each('[1,4]'))
SELECT (SELECT name FROM person LIMIT 1) AS x, (SELECT count(*) FROM guess) FROM pub
SELECT name FROM (SELECT name, ssn AS s FROM person) WHERE s LIKE '9%'
SELECT name FROM (SELECT name, length(ssn) AS n FROM person) ORDER BY n
SELECT name FROM (SELECT * FROM person ORDER BY ssn) LIMIT 1
SELECT * FROM (SELECT * FROM (SELECT * FROM "order"))
SELECT "from" FROM "order" WHERE "order" = "select"
SELECT "order"."order" FROM "order" ORDER BY "order"."order"
SELECT "group" FROM "order" GROUP BY "group"
SELECT "order" FROM "order" AS "select"
SELECT "select"."order" FROM "order" AS "select"
SELECT order FROM "order"
SELECT x.rowid FROM "order" x
SELECT x._rowid_ FROM "order" x
SELECT max(rowid) FROM "order"
SELECT "group" FROM "order" WHERE rowid = '9'
SELECT "group" FROM "order" WHERE oid = 1
SELECT count(rowid) FROM "order"
SELECT count(rowid) FROM person
SELECT count(*) FROM person WHERE rowid = 4
SELECT total(rowid) FROM keyed
SELECT name FROM person WHERE name = 'Ann' UNION ALL SELECT name FROM person WHERE ssn = 'x' ORDER BY name
SELECT p.name FROM person p, (SELECT ssn AS s FROM guess) g WHERE p.ssn = g.s
SELECT p.name FROM person p JOIN guess g ON p.id = g.id AND p.ssn LIKE 'C%'
SELECT p.name FROM person p JOIN pub ON pub.id = p.id WHERE pub.v || p.name = 'oneAnn'
SELECT name || v FROM person, pub
SELECT (SELECT name || ssn FROM person WHERE id = 1)
SELECT (SELECT group_concat(name) FROM person)
SELECT count(*) FROM person GROUP BY length(name) HAVING length(name) > 100
SELECT length(name) FROM person ORDER BY length(name) DESC
SELECT max(length(name)) FROM person
SELECT name FROM person WHERE length(name) > 1000000
SELECT upper(name) FROM person WHERE upper(name) = 'ANN'
SELECT substr(name, 1, 1), count(*) FROM person GROUP BY 1
SELECT substr(name, id) FROM person
SELECT substr(name, -9223372036854775808, 9223372036854775807) FROM person
SELECT substr('x', id * 4611686018427387904) FROM person
SELECT id * 9223372036854775807 FROM person
SELECT -id FROM person
SELECT - -9223372036854775808 FROM person
SELECT round(id, 9223372036854775807) FROM person
SELECT round(name, id) FROM person
SELECT trim(name, 'A') FROM person
SELECT trim(name, name) FROM person
SELECT ltrim(name), rtrim(name) FROM person
SELECT nullif(name, 'Ann') FROM person
SELECT coalesce(name, 1, 2, 3) FROM person
SELECT instr(name, 'n') FROM person
SELECT name LIKE '%n' FROM person
SELECT name IN ('Ann', ssn) FROM person
SELECT name BETWEEN ssn AND 'z' FROM person
SELECT id FROM person WHERE name BETWEEN 'A' AND 'B'
SELECT CASE WHEN id = 1 THEN ssn ELSE name END FROM person
SELECT CASE WHEN EXISTS (SELECT 1 FROM guess WHERE guess.id = person.id) THEN 1 ELSE 0 END FROM person
SELECT name FROM person p WHERE NOT EXISTS (SELECT 1 FROM person q WHERE q.id = p.id + 1)
SELECT name FROM person p WHERE (SELECT count(*) FROM person q WHERE q.id > p.id) = 0
SELECT a.name FROM person a LEFT JOIN person b ON b.id = a.id + 1 WHERE b.id IS NULL
SELECT a.name FROM person a LEFT JOIN person b ON b.id > a.id GROUP BY a.name HAVING count(b.id) = 0
SELECT v FROM pub WHERE id IN (SELECT id - 3 FROM person)
SELECT v FROM pub WHERE id + 3 IN (SELECT id FROM person)
SELECT v FROM pub WHERE NOT id + 3 IN (SELECT id FROM person)
SELECT v, EXISTS (SELECT 1 FROM person WHERE id = 4) FROM pub
SELECT v, 4 IN (SELECT id FROM person) FROM pub
SELECT v FROM pub ORDER BY (SELECT max(id) FROM person)
SELECT v FROM pub LIMIT 1 OFFSET 1
SELECT DISTINCT ssn FROM person
SELECT count(DISTINCT ssn) FROM person
SELECT DISTINCT name, ssn FROM person ORDER BY ssn
SELECT name, ssn FROM person GROUP BY name
SELECT name FROM person GROUP BY name, ssn
SELECT sum(DISTINCT id), avg(DISTINCT id) FROM person
SELECT min(ssn), max(ssn) FROM person
SELECT min(tail) FROM person
SELECT first FROM person WHERE tail IS NULL
SELECT name FROM person WHERE tail IS NOT NULL
SELECT * FROM (SELECT tail FROM person)
SELECT * FROM person AS "person.ssn"
SELECT "person.name" FROM person
SELECT "main"."person"."name" FROM "main"."person"
SELECT "person"."name" FROM "PERSON"
SELECT PERSON.NAME FROM person
SELECT ＮＡＭＥ FROM person
SELECT naｍe FROM person
SELECT name FROM реrson
SELECT name FROM person WHERE name = 'Ann' AND 1 = 1 AND ssn IS NOT NULL
SELECT name FROM person WHERE ssn IS NULL OR 1
SELECT name FROM person WHERE (SELECT 1 FROM person WHERE ssn LIKE '9%')
SELECT name FROM person, guess WHERE person.ssn > guess.ssn
SELECT name FROM person JOIN guess ON 1 LEFT JOIN pub ON pub.v = person.ssn
SELECT x FROM (SELECT 1 AS x) AS person
SELECT ssn FROM (SELECT 'mine' AS ssn) AS person
SELECT person.ssn FROM (SELECT 'mine' AS ssn) AS person, main.person AS q
SELECT person.ssn FROM person, (SELECT 'mine' AS ssn) AS q
SELECT ssn FROM person AS a, (SELECT 'mine' AS ssn) AS b
SELECT b.ssn FROM person AS a, (SELECT a.ssn) AS b
SELECT b.s FROM person AS a, (SELECT max(q.ssn) AS s FROM person q) AS b
SELECT name FROM person AS person2 WHERE person.ssn = 'x'
SELECT name FROM person AS pub WHERE pub.v = 'one'
SELECT pub.ssn FROM person AS pub
SELECT pub.name, pub.id FROM person AS pub ORDER BY pub.id
WITH pub AS (SELECT id, ssn AS v FROM person) SELECT v FROM pub
WITH pub AS (SELECT id, ssn AS v FROM person) SELECT v FROM main.pub
WITH a AS (SELECT id FROM person), b AS (SELECT id FROM a) SELECT * FROM b JOIN a USING (id)
WITH a AS (SELECT ssn FROM person) SELECT a.ssn FROM a WHERE a.ssn LIKE '9%'
WITH a AS (SELECT name, row_number() OVER (ORDER BY ssn) AS n FROM person) SELECT name FROM a WHERE n = 1
WITH a AS (SELECT name, row_number() OVER (ORDER BY id) AS n FROM person) SELECT name FROM a WHERE n > 3
WITH a AS (SELECT name, count(*) OVER () AS n FROM person) SELECT n FROM a
WITH a AS (SELECT id, lead(id) OVER (ORDER BY id) AS n FROM person) SELECT * FROM a
WITH a AS (SELECT id, last_value(id) OVER () AS n FROM person) SELECT * FROM a
WITH a AS (SELECT 1 AS x), A AS (SELECT 2 AS x) SELECT * FROM a
WITH a AS (WITH b AS (SELECT ssn FROM person) SELECT * FROM b) SELECT * FROM a
SELECT * FROM (WITH b AS (SELECT ssn FROM person) SELECT * FROM b)
WITH a AS (INSERT INTO pub VALUES (9, 'x') RETURNING id) SELECT * FROM a
WITH a AS (SELECT id FROM person) DELETE FROM pub WHERE id IN (SELECT id FROM a)
WITH a AS (SELECT id FROM person) INSERT INTO pub SELECT id, 'x' FROM a
SELECT * FROM person AS p(a, b, c)
SELECT * FROM (SELECT 1, 2) AS p(a, b)
SELECT * FROM person p JOIN keyed k USING (id) JOIN notes n USING (id)
SELECT id FROM person JOIN keyed USING (id)
SELECT name FROM person JOIN keyed USING (name)
SELECT ssn FROM person JOIN keyed USING (ssn)
SELECT person.id FROM person JOIN keyed USING (ssn)
SELECT a.id FROM person a JOIN person b USING (tail)
SELECT a.id FROM person a NATURAL LEFT JOIN keyed b
SELECT id FROM person LEFT JOIN keyed USING (id) WHERE keyed.name IS NULL
SELECT id, keyed.name FROM guess LEFT JOIN keyed USING (id)
SELECT id, person.name FROM guess RIGHT JOIN person USING (id)
SELECT id, person.name FROM guess FULL JOIN person USING (id)
SELECT ALL name FROM person
SELECT name FROM person ORDER BY name ASC NULLS LAST
SELECT name FROM person ORDER BY NULL
SELECT name FROM person ORDER BY 2
SELECT name FROM person ORDER BY -1
SELECT name FROM person ORDER BY (1)
SELECT name FROM person GROUP BY 'name'
SELECT name FROM person GROUP BY (1)
SELECT name AS n, n FROM person
SELECT name AS n FROM person WHERE n = 'Ann'
SELECT ssn AS n FROM person WHERE n LIKE '9%'
SELECT ssn AS id FROM person WHERE id = 1
SELECT ssn AS id FROM person ORDER BY id
SELECT ssn AS id, name FROM person GROUP BY id
SELECT count(*) AS id FROM person GROUP BY id
SELECT max(name) AS name FROM person GROUP BY name
SELECT id AS "ssn" FROM person WHERE "ssn" = 1
SELECT id AS 'ssn' FROM person WHERE ssn = 1
SELECT name FROM person WHERE 'ssn' = 'ssn'
SELECT name FROM person WHERE 'name' = "name"
SELECT name FROM person WHERE name = 'guard_source_0'
SELECT name FROM person WHERE name = '"guard_source_0"'
SELECT name FROM person WHERE name = ':g_actor'
SELECT ':g_actor', '%(x)s', '?' FROM person
SELECT name AS ":g_actor" FROM person
SELECT name AS "?" FROM person
SELECT name AS "a' b" FROM person
SELECT name AS "a--b" FROM person
SELECT name AS "/*" FROM person
SELECT 'it''s' FROM person
SELECT 'a' 'b' FROM person
SELECT '' FROM person
SELECT "" FROM person
SELECT [] FROM person
SELECT `` FROM person
SELECT 1 AS "" FROM person
SELECT NULL FROM person
SELECT TRUE, FALSE FROM person
SELECT CURRENT_TIMESTAMP FROM person
SELECT current_date FROM person
SELECT date('now') FROM person
SELECT strftime('%s', name) FROM person
SELECT julianday(name) FROM person
SELECT name FROM person WHERE name > 'A' COLLATE NOCASE
SELECT keyed.name FROM keyed WHERE keyed.name IN ('ann')
SELECT keyed.name FROM keyed JOIN person ON keyed.name = person.first
SELECT CAST(id AS TEXT) FROM person
SELECT CAST(ssn AS TEXT) FROM person
SELECT CAST(name AS INTEGER) + 1 FROM person
SELECT id FROM person WHERE id = 9223372036854775808
SELECT id FROM person WHERE id = -9223372036854775808
SELECT id FROM person WHERE id < 1e400
SELECT id FROM person WHERE id = 1 OR id = 4 OR ssn = '9'
SELECT id FROM person WHERE (id = 4) IS NOT NULL
SELECT id FROM person WHERE id IS NOT 1
SELECT id FROM person WHERE id IS TRUE
SELECT id FROM person WHERE NOT id
SELECT total(id) FROM person WHERE salary > 0
SELECT total(length(ssn)) FROM person
SELECT TOTAL(id) FROM person
SELECT total(DISTINCT id) FROM person
SELECT Total(id) OVER () FROM person
SELECT count(*) FROM (SELECT DISTINCT ssn FROM person)
SELECT count(*) FROM (SELECT name FROM person UNION SELECT ssn FROM person)
SELECT name FROM person EXCEPT SELECT ssn FROM guess
(SELECT name FROM person)
(SELECT name FROM person) UNION (SELECT ssn FROM guess)
((SELECT name FROM person) LIMIT 1)
SELECT * FROM (person)
SELECT * FROM (person JOIN pub ON 1)
SELECT * FROM person, LATERAL (SELECT 1)
SELECT name FROM person TABLESAMPLE (10)
SELECT name FROM person FOR UPDATE
SELECT TOP 1 name FROM person
SELECT name INTO x FROM person
SELECT name FROM person QUALIFY row_number() OVER () = 1
SELECT name FROM person WINDOW w AS (ORDER BY ssn)
SELECT name, rank() OVER w FROM person WINDOW w AS (ORDER BY ssn)
SELECT name, rank() OVER (ORDER BY id) AS r FROM person ORDER BY r
SELECT name, rank() OVER (PARTITION BY first ORDER BY id) FROM person
SELECT first, rank() OVER (ORDER BY count(*)) FROM person GROUP BY first
SELECT name FROM person ORDER BY rank() OVER (ORDER BY ssn)
SELECT name FROM person WHERE rank() OVER (ORDER BY id) = 1
SELECT percent_rank() OVER (ORDER BY ssn), cume_dist() OVER (ORDER BY id) FROM person
UPDATE person SET ssn = 'x' WHERE id = 1
UPDATE person SET name = name || 'x'
UPDATE person SET name = tail WHERE id = 1
UPDATE "order" SET "select" = 'x' WHERE rowid = 1
UPDATE "order" SET "group" = 4 WHERE "group" = 1
UPDATE keyed SET name = 'x' WHERE id = '1'
DELETE FROM "order" WHERE oid = 4
DELETE FROM keyed
INSERT INTO "order" ("group", "select") VALUES (9, 'x')
INSERT INTO keyed VALUES ('1', 'x', 'y')
INSERT INTO person DEFAULT VALUES
INSERT INTO person (rowid, name) VALUES (4, 'x')
INSERT INTO person (tail) VALUES ('x')
INSERT INTO pub VALUES (1, 'x')
UPDATE pub SET v = 'x' WHERE id IN (1)
UPDATE pub SET v = (SELECT max(ssn) FROM person)
DELETE FROM pub WHERE EXISTS (SELECT 1 FROM person WHERE id = 4)
