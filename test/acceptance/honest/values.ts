/** Queries of values: text, time, numbers, nested types, JSON, parameters. */
import type { Honest } from "./queries.ts";

export const strings: Honest[] = [
  "SELECT upper(name), lower(name), length(name), reverse(name), left(name, 3), right(name, 2) FROM products ORDER BY id",
  "SELECT substring(name, 2, 4), name[3], name[2:5], instr(name, 'u'), position('o' IN name), strpos(name, 'd') FROM products ORDER BY id",
  "SELECT trim('  x '), ltrim('xxa', 'x'), rtrim('axx', 'x'), lpad('7', 3, '0'), rpad('a', 4, '-'), trim(both 'x' from 'xax')",
  "SELECT replace(name, 'Product', 'P'), translate(name, 'aeo', 'AEO'), concat(name, '-', sku), name || sku, concat_ws('/', sku, category) FROM products ORDER BY id",
  "SELECT split_part(email, '@', 2) AS domain, count(*) FROM customers GROUP BY domain ORDER BY domain NULLS LAST",
  "SELECT string_split(line, ' ')[2] AS level, count(*) FROM logs GROUP BY level ORDER BY level",
  "SELECT starts_with(name, 'Pro'), ends_with(sku, '7'), contains(name, 'ct'), prefix(sku, '00'), suffix(sku, '1') FROM products ORDER BY id",
  "SELECT ascii('a'), chr(98), unicode('å'), ord('z'), hex('ab'), unhex('6162')::VARCHAR, bin(5), to_base(255, 16)",
  "SELECT md5(name), sha256(sku), hash(id) = hash(id) AS h FROM products ORDER BY id LIMIT 5",
  "SELECT levenshtein('kitten', 'sitting'), jaccard('abc', 'abd'), hamming('abc', 'abd'), jaro_winkler_similarity('duck', 'duke'), damerau_levenshtein('ab', 'ba')",
  "SELECT 'Å' < 'B', 'a' COLLATE NOCASE = 'A', strip_accents('Åse Ørn é'), nfc_normalize('é'), lower('ÅØ'), length('👩‍🚀'), length_grapheme('👩‍🚀'), strlen('å')",
  "SELECT name FROM customers WHERE id < 30 ORDER BY name COLLATE NOCASE DESC",
  "SELECT printf('%05.2f|%s|%d', 3.14159, 'x', 42), format('{:>8}|{:,}', 'x', 1234567), format('{1} {0}', 'a', 'b')",
  "SELECT repeat('ab', 3), ascii(''), '' IS NULL, nullif('a', 'a'), coalesce(NULL, 'z'), 'it''s', E'tab\\tnew\\n', $$dollar$$",
  "SELECT url_encode('a b&c/å'), url_decode('a%20b'), to_base64(encode('hi')), from_base64('aGk=')::VARCHAR, base64('x'::BLOB)",
  "SELECT parse_path('/a/b/c.txt'), parse_filename('/a/b/c.txt'), parse_dirname('/a/b/c.txt')",
  "SELECT formatReadableSize(123456789), format_bytes(2048), bit_length('ab'), octet_length('ab'::BLOB)",
  "SELECT title FROM movies WHERE title LIKE '%\\_%' ESCAPE '\\' OR title GLOB 'The [A-C]*' ORDER BY title",
  "SELECT sku::INTEGER AS n, sku FROM products WHERE sku SIMILAR TO '000[0-3].' ORDER BY sku",
];

export const regular: Honest[] = [
  "SELECT regexp_matches(line, 'ERROR|WARN') AS bad, count(*) FROM logs GROUP BY bad ORDER BY bad",
  "SELECT regexp_extract(line, 'user(\\d+)', 1)::INTEGER AS u, count(*) FROM logs GROUP BY u ORDER BY u",
  "SELECT regexp_extract(line, '(\\d+)-(\\d+)-(\\d+)', ['y', 'm', 'd']) AS d FROM logs ORDER BY id LIMIT 10",
  "SELECT regexp_extract_all('a1b22c333', '\\d+') AS n, regexp_replace('a1b22', '\\d', '#', 'g') AS r, regexp_split_to_array('a, b;c', '[,;] *') AS s",
  "SELECT count(*) FROM logs WHERE line ~ '2024-05-.*500$'",
  "SELECT regexp_full_match('abc', '[a-c]+'), regexp_escape('a.b*c'), NOT 'ABC' ~ 'b'",
  "SELECT regexp_replace(email, '^(.)(.*)@(.*)$', '\\1***@\\3') AS masked FROM customers WHERE id < 20 ORDER BY id",
  "SELECT unnest(regexp_split_to_array('one two  three', '\\s+')) AS word",
];

export const dates: Honest[] = [
  "SELECT ordered_at::DATE AS d, ordered_at::TIME AS t, year(ordered_at), quarter(ordered_at), week(ordered_at), dayofweek(ordered_at), isodow(ordered_at), dayofyear(ordered_at) FROM orders WHERE id < 40 ORDER BY id",
  "SELECT extract(epoch FROM ordered_at), epoch_ms(ordered_at), date_part('hour', ordered_at), date_part(['year', 'month'], ordered_at), extract('isoyear' FROM ordered_at) FROM orders WHERE id < 20 ORDER BY id",
  "SELECT date_trunc('week', ordered_at), date_trunc('quarter', ordered_at), time_bucket(INTERVAL 15 MINUTE, ordered_at), last_day(ordered_at) FROM orders WHERE id < 40 ORDER BY id",
  "SELECT date_diff('day', ordered_at, shipped_at::TIMESTAMP) AS n, age(TIMESTAMP '2025-01-01', ordered_at) AS a, date_sub('month', ordered_at, TIMESTAMP '2025-01-01') AS m FROM orders WHERE id < 40 ORDER BY id",
  "SELECT shipped_at, shipped_at AT TIME ZONE 'Europe/Oslo' AS local, shipped_at + INTERVAL 90 MINUTE AS later FROM orders WHERE id < 30 ORDER BY id",
  "SELECT timezone('America/New_York', TIMESTAMP '2024-03-10 02:30:00') AS a, TIMESTAMPTZ '2024-10-27 02:30:00 Europe/Oslo' AS b",
  "SELECT strftime(ordered_at, '%Y-%m-%d %H:%M:%S'), strftime(birthday, '%A %d. %B %Y'), monthname(birthday), dayname(birthday) FROM orders JOIN customers ON customers.id = customer_id WHERE orders.id < 30 ORDER BY orders.id",
  "SELECT strptime('03/04/2024 05:06', '%d/%m/%Y %H:%M'), try_strptime('no', '%Y'), strptime('2024-060', '%Y-%j'), make_date(2024, 2, 29), make_timestamp(2024, 1, 2, 3, 4, 5.5), make_time(1, 2, 3.25)",
  "SELECT DATE '2024-01-31' + INTERVAL 1 MONTH, DATE '2024-03-31' - INTERVAL 1 MONTH, DATE '2024-01-01' - DATE '2023-01-01', TIMESTAMP '2024-01-01' - TIMESTAMP '2023-12-31 12:00:00', DATE '2024-01-01' + 5",
  "SELECT INTERVAL '1 year 2 months 3 days 04:05:06', to_days(3) + to_hours(2), INTERVAL 1 DAY * 3, -INTERVAL 5 MINUTE, date_part('day', INTERVAL 40 DAY)",
  "SELECT birthday, date_diff('year', birthday, DATE '2024-06-01') AS age, date_add(birthday, INTERVAL 100 YEAR) AS hundred FROM customers ORDER BY id LIMIT 30",
  "SELECT l.at, l.at + INTERVAL 30 MINUTE AS later, hour(l.at), l.at > TIME '12:00:00' AS afternoon FROM logs l ORDER BY id LIMIT 40",
  "SELECT to_timestamp(1700000000), epoch(TIMESTAMP '2024-01-01'), epoch_us(TIMESTAMP '2024-01-01'), make_timestamptz(2024, 1, 2, 3, 4, 5.0), era(DATE '0044-03-15 (BC)'), julian(DATE '2024-01-01')",
  "SELECT min(ordered_at), max(ordered_at), max(ordered_at) - min(ordered_at) AS span, count(shipped_at) FROM orders",
  "SELECT d, isfinite(d), d > DATE '2020-01-01' FROM (VALUES (DATE '2024-01-01'), ('infinity'::DATE), ('-infinity'::DATE)) AS v(d) ORDER BY d",
  "SELECT range::DATE AS m FROM range(DATE '2024-01-31', DATE '2024-12-31', INTERVAL 1 MONTH) ORDER BY m",
  "SELECT TIMESTAMP_NS '2024-01-01 00:00:00.123456789' AS ns, TIMESTAMP_MS '2024-01-01 00:00:00.123' AS ms, TIMESTAMP_S '2024-01-01 00:00:00' AS s, TIMETZ '01:02:03+02' AS tz",
];

export const numbers: Honest[] = [
  "SELECT abs(-5), sign(-2.5), round(2.567, 2), round(-2.5), round_even(2.5, 0), ceil(1.2), floor(-1.2), trunc(-1.7), sqrt(2), cbrt(27), exp(1), ln(10), log10(100), log2(8), power(2, 0.5), mod(7, 3), fmod(7.5, 2)",
  "SELECT sin(1), cos(1), tan(1), asin(0.5), atan2(1, 2), degrees(pi()), radians(180), gamma(5), factorial(20), gcd(12, 18), lcm(4, 6), even(3.2), sinh(1)",
  "SELECT 1::TINYINT + 1, 9223372036854775807::BIGINT AS big, 170141183460469231731687303715884105727::HUGEINT AS huge, 18446744073709551615::UBIGINT AS u, 255::UTINYINT",
  "SELECT price, price * quantity AS total, price / quantity AS each, price * 1.25 AS taxed, price::DOUBLE * 1.25 AS inexact, (price * 100)::BIGINT AS cents FROM orders WHERE id < 60 ORDER BY id",
  "SELECT 0.1 + 0.2 AS d, 0.1::DOUBLE + 0.2 AS f, 1 / 3 AS third, 1 // 3 AS zero, 10.0 / 4 AS q, 1e308::DOUBLE * 10 AS inf, 'nan'::DOUBLE AS nan, -1 / 'inf'::DOUBLE AS tiny",
  "SELECT TRY_CAST('12x' AS INTEGER), TRY_CAST('12' AS INTEGER), CAST('1e3' AS DOUBLE), '0x10'::INTEGER, 1_000_000, 3.7::INTEGER, '  42 '::INTEGER, true::INTEGER",
  "SELECT big, big + 1 AS more, big::VARCHAR AS text, big % 1000 AS rest FROM logs ORDER BY id",
  "SELECT ratio, ratio * 3 AS back, ratio::DOUBLE AS wide, round(ratio, 2) AS r FROM logs ORDER BY id LIMIT 50",
  "SELECT bit_count(255), 5 & 6, set_bit('0000'::BIT, 1, 1), '1010'::BIT | '0101'::BIT, get_bit('100'::BIT, 0), bitstring('11', 4)",
  "SELECT isnan('nan'::FLOAT), isinf('inf'::DOUBLE), isfinite(1.0::DOUBLE), nextafter(1::DOUBLE, 2::DOUBLE), signbit(-0.0::DOUBLE)",
  "SELECT sum(price) AS s, sum(price * quantity) AS t, avg(price) AS a, avg(price)::DECIMAL(18,4) AS d FROM orders",
  "SELECT TRY(1 / 0) AS t, 5 % 0 AS m, 5.0 / 0 AS d, 0 // 1 AS z, TRY(sqrt(-1)) AS q",
  "SELECT 12345678901234567890.123456789::DECIMAL(38,9) AS d, 0.000000001::DECIMAL(10,9) AS tiny, -5.50::DECIMAL(5,2) AS n, 1.0::DECIMAL(1,0) AS one",
  "SELECT x, x::UTINYINT AS u FROM (VALUES (1), (200), (255)) AS v(x) WHERE x BETWEEN 0 AND 255 ORDER BY x",
];

export const lists: Honest[] = [
  "SELECT id, tags, len(tags), tags[1], tags[-1], tags[1:2], list_contains(tags, 'tag3') FROM orders WHERE id < 60 ORDER BY id",
  "SELECT list_sort([3, 1, NULL, 2]), list_reverse_sort([1, 3, 2]), list_distinct([1, 1, 2]).list_sort(), list_unique([1, 1, 2]), flatten([[1], [2, 3]]), list_concat([1], [2])",
  "SELECT list_transform([1, 2, 3], lambda x: x * 2), list_filter([1, 2, 3, 4], lambda x: x % 2 = 0), list_reduce([1, 2, 3], lambda a, b: a + b), [x * x FOR x IN [1, 2, 3] IF x > 1]",
  "SELECT list_transform(tags, lambda t, i: i || ':' || t) AS t, [upper(t) FOR t IN tags] AS u FROM orders WHERE id < 30 ORDER BY id",
  "SELECT unnest([1, 2, 3]) AS n, 'x' AS x",
  "SELECT id, unnest(tags) AS tag FROM orders WHERE id < 30 ORDER BY ALL",
  "SELECT tag, count(*) FROM (SELECT unnest(tags) AS tag FROM orders) GROUP BY tag ORDER BY tag",
  "SELECT unnest([{'a': 1, 'b': 2}, {'a': 3, 'b': 4}], recursive := true)",
  "SELECT list_sum(dims), list_avg(dims), list_max(dims), list_min(dims), list_aggregate(dims, 'stddev') FROM products ORDER BY id",
  "SELECT range(5), range(1, 10, 3), generate_series(3, 1, -1), list_zip([1, 2], ['a', 'b'])::VARCHAR, array_value(1, 2, 3), list_slice([1, 2, 3, 4], 2, 3)",
  "SELECT [1, 2, 3]::INTEGER[3] AS a, array_distance([1.0, 2.0]::FLOAT[2], [4.0, 6.0]::FLOAT[2]) AS d, array_cosine_similarity([1, 0]::DOUBLE[2], [1, 1]::DOUBLE[2]) AS c, list_dot_product([1, 2], [3, 4]) AS p",
  "SELECT list_position([5, 6, 7], 6), list_has_any([1, 2], [2, 3]), list_has_all([1, 2], [1]), list_intersect([1, 2, 3], [2, 3, 4]).list_sort(), [1, 2] && [2], list_where([1, 2, 3], [true, false, true])",
  "SELECT list(id ORDER BY id)[1:3] AS firsts, string_agg(sku, '' ORDER BY id)[1:10] AS s FROM products GROUP BY category ORDER BY category",
  "SELECT [[1, 2], [3]] AS nested, [[1, 2], [3]][1][2] AS two, [NULL, 1] AS n, []::INTEGER[] AS e, len([]) AS z",
];

export const structs: Honest[] = [
  "SELECT id, address, address.city, address.geo.lat, address['zip'] FROM orders WHERE id < 40 ORDER BY id",
  "SELECT {'a': 1, 'b': {'c': [1, 2]}} AS s, struct_pack(x := 1, y := 'z') AS p, row(1, 'a', NULL)::VARCHAR AS r, {'a': 1}.a AS a",
  "SELECT address.* FROM orders WHERE address IS NOT NULL ORDER BY id LIMIT 10",
  "SELECT unnest(address) FROM orders WHERE id BETWEEN 1 AND 5 ORDER BY id",
  "SELECT struct_insert({'a': 1}, b := 2) AS s, struct_extract({'a': 5}, 'a') AS e, struct_update({'a': 1, 'b': 2}, b := 3) AS u",
  "SELECT {'a': 1} = {'a': 1} AS same, {'a': 1, 'b': 2} < {'a': 1, 'b': 3} AS less, (1, 2) = (1, 2) AS t",
  "SELECT address.geo AS geo, count(*) FROM orders GROUP BY geo ORDER BY geo NULLS LAST LIMIT 20",
  "SELECT list_transform([{'n': 1}, {'n': 2}], lambda s: s.n + 1) AS l, [{'n': 1}][1].n AS n",
  "SELECT union_value(num := 5) AS u, union_tag(union_value(num := 5)) AS t, union_extract(union_value(str := 'x'), 'str') AS x",
  "SELECT 'happy'::ENUM('sad', 'happy') AS e, enum_range(NULL::ENUM('a', 'b')) AS r, typeof('x'::ENUM('x')) AS t",
  "SELECT CAST({'a': '1', 'b': 2} AS STRUCT(a INTEGER, b VARCHAR)) AS s, CAST([1, 2] AS VARCHAR[]) AS l",
];

export const maps: Honest[] = [
  "SELECT id, attrs, attrs['weight'], map_keys(attrs), map_values(attrs), cardinality(attrs) FROM orders WHERE id < 30 ORDER BY id",
  "SELECT MAP {'a': 1, 'b': 2} AS m, MAP([1, 2], ['x', 'y']) AS n, map_from_entries([('k', 5)]) AS e, MAP {} AS z, MAP {'a': 1}['zz'] AS missing",
  "SELECT map_entries(MAP {'a': 1}) AS e, map_contains(MAP {'a': 1}, 'a') AS c, map_concat(MAP {'a': 1}, MAP {'b': 2}) AS m, element_at(MAP {'a': 1}, 'a') AS x",
  "SELECT attrs['boxes'] AS boxes, count(*), sum(attrs['weight']) FROM orders GROUP BY boxes ORDER BY boxes",
  "SELECT MAP {1: MAP {'x': [1.5, 2.5]}} AS deep, MAP {DATE '2024-01-01': true} AS by_date",
  "SELECT unnest(map_keys(histogram(status))) AS k FROM orders ORDER BY k",
];

export const json: Honest[] = [
  "SELECT payload::JSON AS j FROM logs ORDER BY id LIMIT 20",
  "SELECT payload ->> '$.user.name' AS name, count(*) FROM logs GROUP BY name ORDER BY name",
  "SELECT json_extract(payload, '$.items[0].sku') AS s, json_extract_string(payload, '$.user.id') AS u, payload::JSON -> 'ok' AS ok FROM logs ORDER BY id LIMIT 30",
  "SELECT json_array_length(payload, '$.items') AS n, count(*) FROM logs GROUP BY n ORDER BY n",
  "SELECT json_type(payload, '$.items'), json_keys(payload), json_valid(payload), json_structure(payload) FROM logs ORDER BY id LIMIT 3",
  'SELECT json_transform(payload, \'{"user": {"id": "BIGINT"}, "ok": "BOOLEAN"}\') AS t FROM logs ORDER BY id LIMIT 20',
  'SELECT from_json(payload, \'{"items": [{"sku": "INTEGER", "n": "INTEGER"}]}\').items AS items FROM logs ORDER BY id LIMIT 20',
  "SELECT l.id, e.key, e.value, e.type FROM logs l, json_each(l.payload) e WHERE l.id < 5 ORDER BY l.id, e.key",
  'SELECT fullkey, atom FROM json_tree(\'{"a": [1, {"b": null}], "c": "x"}\') ORDER BY fullkey',
  "SELECT json_object('a', 1, 'b', [1, 2]) AS o, json_array(1, 'x', NULL) AS a, to_json({'x': 1.5::DECIMAL(3,1)}) AS t, json_merge_patch('{\"a\": 1}', '{\"b\": 2}') AS m",
  "SELECT json_group_array(sku) AS a FROM (SELECT sku FROM products WHERE id < 4 ORDER BY id)",
  "SELECT json_group_object(sku, price::DOUBLE) AS o FROM (SELECT sku, price FROM products WHERE id < 4 ORDER BY id)",
  "SELECT '[1, 2.0, \"x\", null, true]'::JSON AS j, '{\"dup\": 1}'::JSON ->> 'dup' AS d, json_quote('a\"b') AS q, json_contains('[1, 2]', '2') AS c",
  "SELECT (payload -> '$.score')::DOUBLE AS s FROM logs WHERE (payload -> '$.score')::DOUBLE > 60 ORDER BY s",
  "SELECT '{\"a\": 9007199254740993}'::JSON ->> 'a' AS a, json_value('{\"a\": 1}', '$.a') AS v, json_exists('{\"a\": 1}', '$.b') AS e",
  "SELECT raw, decode(raw) AS text, octet_length(raw) AS n, uid FROM logs ORDER BY id LIMIT 20",
  "SELECT uid, uid::VARCHAR LIKE '%1f' AS x FROM logs WHERE uid < '00000000-0000-4000-8000-000000000030' ORDER BY uid",
];

export const parameters: Honest[] = [
  { sql: "SELECT * FROM customers WHERE id = ?", params: [17] },
  {
    sql: "SELECT count(*) FROM orders WHERE price BETWEEN $1 AND $2 AND status = $3",
    params: [100, 200.5, "paid"],
  },
  {
    sql: "SELECT name FROM customers WHERE country = $country AND score > $least ORDER BY id LIMIT $n",
    params: { country: "NO", least: 80, n: 5 },
  },
  {
    sql: "SELECT ? + 1 AS n, ? || 'x' AS t, ? IS NULL AS nothing, NOT ? AS f",
    params: [41, "y", null, true],
  },
  { sql: "SELECT * FROM products WHERE sku = ? OR name LIKE ? ORDER BY id", params: ["00012", "Product A%"] },
  {
    sql: "SELECT sum(quantity) FROM orders WHERE ordered_at >= ?::TIMESTAMP AND ordered_at < ?::TIMESTAMP + INTERVAL 1 MONTH",
    params: ["2024-01-01", "2024-01-01"],
  },
  { sql: "SELECT $1 AS a, $1 AS b, $2::DECIMAL(9,2) AS c", params: [7, "3.5"] },
  { sql: "SELECT list_transform([1, 2], lambda x: x + $1) AS l, {'a': $2} AS s", params: [10, "v"] },
];
