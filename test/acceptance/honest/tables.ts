/** The tables that honest SQL is asked of: real ones of vega-datasets, and made ones with every type a table has. */
import { resolve } from "node:path";
import type { IcebergType } from "../../../src/services/catalogd/schema.ts";
import { append, columns, type Lake } from "../../support/lake.ts";

const VEGA = resolve(import.meta.dir, "../../../node_modules/vega-datasets/data");
const STATUSES = "['new', 'paid', 'sent', 'returned', 'lost']";
const COUNTRIES = "['NO', 'SE', 'DK', 'FI', 'IS', NULL]";

interface Made {
  columns: Record<string, IcebergType>;
  /** One commit each, so that most tables have one file and some have several. */
  rows: string[];
}

const orders = (from: number, to: number) => `
  SELECT range AS id, (range * 7919 % 1000)::INTEGER AS customer_id, (range * 104729 % 97)::INTEGER AS product_id,
    TIMESTAMP '2023-01-01' + to_seconds(range * 37 % 63072000) AS ordered_at,
    CASE WHEN range % 7 = 0 THEN NULL ELSE TIMESTAMPTZ '2023-01-01 00:00:00+00' + to_seconds(range * 37 % 63072000 + 86400) END AS shipped_at,
    (range % 9 + 1)::INTEGER AS quantity, ((range * 31 % 99991) / 100)::DECIMAL(9,2) AS price,
    ${STATUSES}[range * 13 % 5 + 1] AS status,
    CASE WHEN range % 5 = 0 THEN NULL ELSE list_transform(range(range % 4), lambda x: 'tag' || ((x * 3 + range) % 11)) END AS tags,
    CASE WHEN range % 11 = 0 THEN NULL ELSE {'city': ['Oslo', 'Bergen', 'Umeå', 'Aarhus'][range % 4 + 1], 'zip': lpad((range % 10000)::VARCHAR, 4, '0'), 'geo': {'lat': 59 + (range % 100) / 100, 'lon': 10 + (range % 50) / 100}} END AS address,
    MAP {'weight': range % 500, 'boxes': range % 3} AS attrs,
    range % 2 = 0 AS gift
  FROM range(${from}, ${to})`;

const made: Record<string, Made> = {
  movies: {
    columns: {
      title: "string",
      us_gross: "long",
      worldwide_gross: "long",
      budget: "long",
      released: "string",
      rating: "string",
      minutes: "int",
      distributor: "string",
      genre: "string",
      director: "string",
      tomatoes: "int",
      imdb: "double",
      votes: "long",
    },
    rows: [
      `SELECT "Title"::JSON ->> '$' AS title, "US Gross" AS us_gross, "Worldwide Gross" AS worldwide_gross, "Production Budget" AS budget, "Release Date" AS released, "MPAA Rating" AS rating, "Running Time min"::INTEGER AS minutes, "Distributor" AS distributor, "Major Genre" AS genre, "Director" AS director, "Rotten Tomatoes Rating"::INTEGER AS tomatoes, "IMDB Rating" AS imdb, "IMDB Votes" AS votes FROM read_json('${VEGA}/movies.json')`,
    ],
  },
  weather: {
    columns: {
      date: "date",
      precipitation: "double",
      temp_max: "double",
      temp_min: "double",
      wind: "double",
      weather: "string",
    },
    rows: [`FROM read_csv('${VEGA}/seattle-weather.csv')`],
  },
  stocks: {
    columns: { symbol: "string", date: "date", price: "double" },
    rows: [
      `SELECT symbol, strptime(date, '%b %d %Y')::DATE AS date, price FROM read_csv('${VEGA}/stocks.csv')`,
    ],
  },
  penguins: {
    columns: {
      species: "string",
      island: "string",
      beak: "double",
      depth: "double",
      flipper: "int",
      mass: "int",
      sex: "string",
    },
    rows: [
      `SELECT "Species" AS species, "Island" AS island, "Beak Length (mm)" AS beak, "Beak Depth (mm)" AS depth, "Flipper Length (mm)"::INTEGER AS flipper, "Body Mass (g)"::INTEGER AS mass, "Sex" AS sex FROM read_json('${VEGA}/penguins.json')`,
    ],
  },
  orders: {
    columns: {
      id: "long",
      customer_id: "int",
      product_id: "int",
      ordered_at: "timestamp",
      shipped_at: "timestamptz",
      quantity: "int",
      price: "decimal(9,2)",
      status: "string",
      tags: { type: "list", "element-id": 1, element: "string", "element-required": false },
      address: {
        type: "struct",
        fields: [
          { id: 1, name: "city", required: false, type: "string" },
          { id: 2, name: "zip", required: false, type: "string" },
          {
            id: 3,
            name: "geo",
            required: false,
            type: {
              type: "struct",
              fields: [
                { id: 4, name: "lat", required: false, type: "double" },
                { id: 5, name: "lon", required: false, type: "double" },
              ],
            },
          },
        ],
      },
      attrs: {
        type: "map",
        "key-id": 1,
        key: "string",
        "value-id": 2,
        value: "long",
        "value-required": false,
      },
      gift: "boolean",
    },
    rows: [orders(0, 12_000), orders(12_000, 20_000)],
  },
  customers: {
    columns: {
      id: "int",
      name: "string",
      email: "string",
      birthday: "date",
      country: "string",
      score: "double",
      referrer_id: "int",
    },
    rows: [
      `SELECT range::INTEGER AS id, 'Customer ' || range AS name, CASE WHEN range % 10 = 3 THEN NULL ELSE 'c' || range || '@' || ['example.org', 'mail.example', 'test.invalid'][range % 3 + 1] END AS email, DATE '1950-01-01' + (range * 17 % 20000)::INTEGER AS birthday, ${COUNTRIES}[range % 6 + 1] AS country, CASE WHEN range % 13 = 0 THEN NULL ELSE (range * 37 % 1000) / 10 END AS score, CASE WHEN range < 10 THEN NULL ELSE (range // 10)::INTEGER END AS referrer_id FROM range(1000)`,
    ],
  },
  products: {
    columns: {
      id: "int",
      sku: "string",
      name: "string",
      category: "string",
      price: "decimal(12,4)",
      dims: { type: "list", "element-id": 1, element: "double", "element-required": false },
      released: "date",
    },
    rows: [
      `SELECT range::INTEGER AS id, lpad(range::VARCHAR, 5, '0') AS sku, 'Product ' || chr((65 + range % 26)::INTEGER) || range AS name, ['tools', 'toys', 'food', 'books'][range % 4 + 1] AS category, (range * 1.2345)::DECIMAL(12,4) AS price, [range / 2, range / 3, range % 5] AS dims, DATE '2020-02-28' + range::INTEGER AS released FROM range(97)`,
    ],
  },
  quotes: {
    columns: { symbol: "string", at: "timestamp", bid: "double" },
    rows: [
      "SELECT ['A', 'B', 'C'][range % 3 + 1] AS symbol, TIMESTAMP '2024-03-01 09:00:00' + to_seconds(range * 7) AS at, 100 + (range * 31 % 17) / 4 AS bid FROM range(600)",
    ],
  },
  trades: {
    columns: { symbol: "string", at: "timestamp", qty: "int" },
    rows: [
      "SELECT ['A', 'B', 'C', 'D'][range % 4 + 1] AS symbol, TIMESTAMP '2024-03-01 09:00:03' + to_seconds(range * 61) AS at, (range % 20 + 1)::INTEGER AS qty FROM range(60)",
    ],
  },
  logs: {
    columns: {
      id: "long",
      line: "string",
      payload: "string",
      raw: "binary",
      uid: "uuid",
      at: "time",
      big: "long",
      ratio: "float",
    },
    rows: [
      `SELECT range AS id, format('2024-05-{:02d} {} user{} GET /p/{}?q={} {}', range % 28 + 1, ['INFO', 'WARN', 'ERROR'][range % 3 + 1], range % 17, range % 50, range * 3, [200, 404, 500][range % 3 + 1]) AS line, to_json({'user': {'id': range % 17, 'name': 'user' || range % 17}, 'items': list_transform(range(range % 4), lambda x: {'sku': x, 'n': x * 2}), 'ok': range % 3 = 0, 'score': range / 8})::VARCHAR AS payload, encode('blob' || range) AS raw, ('00000000-0000-4000-8000-' || lpad(to_hex(range), 12, '0'))::UUID AS uid, TIME '00:00:00' + to_seconds(range * 83 % 86400) AS at, 9007199254740990 + range * 100000000000 AS big, (range / 3)::FLOAT AS ratio FROM range(500)`,
    ],
  },
};

/** Makes every table; answers their names. */
export async function makeTables(lake: Lake): Promise<string[]> {
  for (const [name, table] of Object.entries(made)) {
    await lake.catalog.create(name, { fields: columns(table.columns) });
    for (const rows of table.rows) await append(lake, name, rows);
  }
  return Object.keys(made);
}
