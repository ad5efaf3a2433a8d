/** The reference of observer_event: a bare Elysia route with the same schema that keeps nothing. */
import { Elysia } from "elysia";
import { ObservedOpSchema } from "../../src/services/observerd/schema.ts";

const app = new Elysia({ normalize: false }).post(
  "/v1/observer/event",
  ({ body }) => ({ accepted: true, id: body.id ?? "01a0e7c4-6a2e-7000-8a3b-0d7d2f6a9c11", ring_size: 2000 }),
  { body: ObservedOpSchema },
);
app.compile();
const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: app.fetch });
console.log(`listening http://127.0.0.1:${server.port}`);
