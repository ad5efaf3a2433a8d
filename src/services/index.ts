/** The registry: every service in dependency order, and what each needs. */
import type { HttpClient } from "../shared/client.ts";
import type { Service, ServiceContext } from "../shared/service.ts";
import { createCatalogdClient } from "./catalogd/client.ts";
import { createCatalogd } from "./catalogd/index.ts";
import type { Catalogd } from "./catalogd/schema.ts";
import { createEmbeddClient } from "./embedd/client.ts";
import { createEmbedd } from "./embedd/index.ts";
import type { Embedd } from "./embedd/schema.ts";
import { createIngestdClient } from "./ingestd/client.ts";
import { createIngestd } from "./ingestd/index.ts";
import type { Ingestd } from "./ingestd/schema.ts";
import { createMatrixdClient } from "./matrixd/client.ts";
import { createMatrixd } from "./matrixd/index.ts";
import type { Matrixd } from "./matrixd/schema.ts";
import { createObserverdClient } from "./observerd/client.ts";
import { createObserverd } from "./observerd/index.ts";
import type { Observerd } from "./observerd/schema.ts";
import { createPathwaydClient } from "./pathwayd/client.ts";
import { createPathwayd } from "./pathwayd/index.ts";
import type { Pathwayd } from "./pathwayd/schema.ts";
import { createQuerydClient } from "./queryd/client.ts";
import { createQueryd } from "./queryd/index.ts";
import type { Queryd } from "./queryd/schema.ts";
import { createStoragedClient } from "./storaged/client.ts";
import { createStoraged } from "./storaged/index.ts";
import type { Storaged } from "./storaged/schema.ts";
import { createVectordClient } from "./vectord/client.ts";
import { createVectord } from "./vectord/index.ts";
import type { Vectord } from "./vectord/schema.ts";

/** Each service's interface, the same for its domain and its client. */
export interface Interfaces {
  storaged: Storaged;
  catalogd: Catalogd;
  ingestd: Ingestd;
  queryd: Queryd;
  embedd: Embedd;
  vectord: Vectord;
  pathwayd: Pathwayd;
  observerd: Observerd;
  matrixd: Matrixd;
}

export type ServiceName = keyof Interfaces;

/** What one process can be: everything, the gateway alone, or one service alone. */
export type Target = "all" | "gateway" | ServiceName;

interface Entry<Name extends ServiceName, Needs extends ServiceName> {
  readonly name: Name;
  /** What it does, for the API's page. */
  readonly about: string;
  /** The first segments of its routes. */
  readonly prefixes: readonly string[];
  readonly needs: readonly Needs[];
  create(context: ServiceContext, neighbours: Pick<Interfaces, Needs>): Promise<Service<Interfaces[Name]>>;
  client(http: HttpClient): Interfaces[Name];
}

const entry = <Name extends ServiceName, Needs extends ServiceName = never>(it: Entry<Name, Needs>) => it;

export const registry = [
  entry({
    name: "storaged",
    about: "Objects by key: put, get, list, delete, with conditional writes.",
    prefixes: ["storage"],
    needs: [],
    create: createStoraged,
    client: createStoragedClient,
  }),
  entry({
    name: "catalogd",
    about: "Tables as Apache Iceberg: schemas, snapshots, history, rollback, maintenance.",
    prefixes: ["catalog"],
    needs: ["storaged"],
    create: createCatalogd,
    client: createCatalogdClient,
  }),
  entry({
    name: "ingestd",
    about: "Files in: CSV, TSV, JSON, NDJSON and Parquet become committed tables.",
    prefixes: ["ingest"],
    needs: ["storaged", "catalogd"],
    create: createIngestd,
    client: createIngestdClient,
  }),
  entry({
    name: "embedd",
    about: "Text to vectors: a built-in model, and those of Ollama, OpenAI's API and ONNX.",
    prefixes: ["embed", "embeddings", "models"],
    needs: [],
    create: createEmbedd,
    client: createEmbeddClient,
  }),
  entry({
    name: "vectord",
    about: "Vectors in named indexes: nearest by metric, filters on metadata, fused with BM25.",
    prefixes: ["vectors"],
    needs: ["storaged", "catalogd", "embedd"],
    create: createVectord,
    client: createVectordClient,
  }),
  entry({
    name: "queryd",
    about: "SQL out: one SELECT at a time over the tables, now or as of any snapshot.",
    prefixes: ["sql"],
    needs: ["catalogd", "vectord"],
    create: createQueryd,
    client: createQuerydClient,
  }),
  entry({
    name: "pathwayd",
    about: "Memory of agents: traces with their whole history, searched as of any day.",
    prefixes: ["pathway"],
    needs: ["vectord"],
    create: createPathwayd,
    client: createPathwaydClient,
  }),
  entry({
    name: "observerd",
    about: "The witness: records, counts and lists what was done.",
    prefixes: ["observer"],
    needs: [],
    create: createObserverd,
    client: createObserverdClient,
  }),
  entry({
    name: "matrixd",
    about: "Many corpora, one answer: searched at once, merged, reranked, cut to a budget.",
    prefixes: ["matrix"],
    needs: ["catalogd", "embedd", "vectord", "pathwayd"],
    create: createMatrixd,
    client: createMatrixdClient,
  }),
] as unknown as readonly Entry<ServiceName, ServiceName>[];

export const serviceNames = registry.map((it) => it.name);
