/**
 * pathwayd against a model: random operations, restarts and kills between them; every get, history and search as of any
 * moment is the model's. `PATHWAY_OPERATIONS=10000 bun test test/services/pathwayd_model.test.ts` runs as many.
 */
import { expect, test } from "bun:test";
import { rmSync } from "node:fs";
import type { Trace } from "../../src/services/pathwayd/schema.ts";
import type { Change, Content } from "../../src/services/pathwayd/trace_schema.ts";
import { type PathwayCalls, pathwayAt } from "../support/pathway.ts";
import { startProcesses } from "../support/processes.ts";
import { seeded } from "../support/vectors.ts";

const OPERATIONS = Number(process.env.PATHWAY_OPERATIONS ?? 1200);
const SEED = Number(process.env.PATHWAY_SEED ?? 5);
/** One in so many operations is followed by a restart, half of them by SIGKILL while writes are under way. */
const RESTART_EVERY = 400;
const MAX_TRACES = 180;
const USERS = ["ada", "bob", "cy"];
const TAGS = ["red", "green", "blue"];
const WORDS = ["lake", "boat", "train", "bread", "storm", "violin", "ledger", "garden", "router", "falcon"];

interface ModelVersion {
  readonly version: number;
  readonly at: string;
  readonly change: Change;
  readonly content: Content;
  readonly tags: string[];
  readonly state: "live" | "superseded" | "retired";
  readonly valid_to?: string;
}
interface ModelTrace {
  readonly uid: string;
  readonly user: string;
  readonly predecessor?: string;
  successor?: string;
  readonly versions: ModelVersion[];
  readonly successes: string[];
  readonly replays: string[];
}
type Model = Map<string, ModelTrace>;
const present = (it: ModelTrace) => it.versions.at(-1) as ModelVersion;

class Run {
  readonly model: Model = new Map();
  readonly forgotten = new Set<string>();
  readonly moments: string[] = [];
  readonly random = seeded(SEED);
  constructor(public calls: PathwayCalls) {}

  pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.random() * list.length)] as T;
  }
  text(): string {
    return Array.from({ length: 3 + Math.floor(this.random() * 3) }, () => this.pick(WORDS)).join(" ");
  }
  some(): ModelTrace | undefined {
    return this.model.size === 0 ? undefined : this.pick([...this.model.values()]);
  }

  async step(): Promise<void> {
    const it = this.some();
    const dice = this.random();
    const has_room = this.model.size < MAX_TRACES;
    if (!it || (dice < 0.22 && has_room)) return this.add();
    if (dice < 0.3 && has_room) return this.addAgain();
    if (dice < 0.45) return this.update(it);
    if (dice < 0.55 && has_room) return this.revise(it);
    if (dice < 0.65) return this.retire(it);
    if (dice < 0.72) return this.unretire(it);
    if (dice < 0.8) return this.outcome(it);
    if (dice < 0.83) return this.forget(it);
    if (dice < 0.9) return this.checkTrace(it);
    return this.checkSearch();
  }

  note(trace: Trace, change: Change, user: string, predecessor?: string): void {
    const it = this.model.get(trace.uid) ?? {
      uid: trace.uid,
      user,
      ...(predecessor === undefined ? {} : { predecessor }),
      versions: [],
      successes: [],
      replays: [],
    };
    const { version, content, tags, state, valid_to } = trace;
    const at = trace.updated_at;
    it.versions.push({
      version,
      at,
      change,
      content,
      tags,
      state,
      ...(valid_to === undefined ? {} : { valid_to }),
    });
    this.model.set(trace.uid, it);
    this.moments.push(at);
  }

  async add(): Promise<void> {
    const user = this.pick(USERS);
    const given = {
      content: this.text(),
      tags: TAGS.filter(() => this.random() < 0.4),
      scope: { user_id: user },
      ...(this.random() < 0.2
        ? { valid_to: new Date(Date.now() + (this.random() - 0.5) * 2000).toISOString() }
        : {}),
    };
    const made = await this.calls.add(given);
    expect(made).toMatchObject({ ...given, version: 1, indexed: true });
    this.note(made, "added", user);
  }

  /** The oldest live trace that says the same and holds now is told. */
  async addAgain(): Promise<void> {
    const user = this.pick(USERS);
    const content = this.pick([...this.model.values()].map((it) => present(it).content)) as string;
    const made = await this.calls.addIdempotent({ content, scope: { user_id: user } });
    const same = [...this.model.values()].filter(
      (it) => it.user === user && present(it).state === "live" && present(it).content === content,
    );
    if (made.created) {
      expect(same.filter((it) => present(it).valid_to === undefined)).toEqual([]);
      this.note(made, "added", user);
      return;
    }
    expect(same.map((it) => it.uid)).toContain(made.uid);
    this.model.get(made.uid)?.replays.push(new Date().toISOString());
  }

  /** What is not live is refused, and changes nothing. */
  async change(it: ModelTrace, verb: "update" | "revise" | "retire" | "unretire", body: object) {
    const answer = await this.calls.send<Trace>("POST", verb, {
      uid: it.uid,
      version: present(it).version,
      ...body,
    });
    const wanted = verb === "unretire" ? "retired" : "live";
    expect(answer.status).toBe(present(it).state === wanted ? (verb === "revise" ? 201 : 200) : 409);
    return answer.status < 300 ? answer.body : undefined;
  }

  async update(it: ModelTrace): Promise<void> {
    const body =
      this.random() < 0.7 ? { content: this.text() } : { tags: TAGS.filter(() => this.random() < 0.5) };
    const made = await this.change(it, "update", body);
    if (made) this.note(made, "updated", it.user);
  }

  async revise(it: ModelTrace): Promise<void> {
    const made = await this.change(it, "revise", { content: this.text() });
    if (!made) return;
    const before = await this.calls.get(it.uid);
    it.successor = made.uid;
    this.note(before, "superseded", it.user);
    this.note(made, "revised", it.user, it.uid);
  }

  async retire(it: ModelTrace): Promise<void> {
    const made = await this.change(it, "retire", { reason: "done" });
    if (made) this.note(made, "retired", it.user);
  }

  async unretire(it: ModelTrace): Promise<void> {
    const made = await this.change(it, "unretire", {});
    if (made) this.note(made, "unretired", it.user);
  }

  async outcome(it: ModelTrace): Promise<void> {
    const made = await this.calls.outcome({ uid: it.uid, result: "success" });
    it.successes.push(made.updated_at);
    expect(made).toMatchObject({ version: present(it).version, outcome: { successes: it.successes.length } });
  }

  async forget(it: ModelTrace): Promise<void> {
    expect(await this.calls.forget({ uid: it.uid })).toMatchObject({ uid: it.uid, pending: [] });
    this.model.delete(it.uid);
    this.forgotten.add(it.uid);
    expect((await this.calls.send("GET", `get/${it.uid}`)).status).toBe(404);
  }

  async checkTrace(it: ModelTrace): Promise<void> {
    const { version, content, tags, state } = present(it);
    const told = await this.calls.get(it.uid);
    const { uid, predecessor, successor } = it;
    expect({ predecessor, successor, ...told }).toMatchObject({
      ...{ uid, version, content, tags, state, replay_count: it.replays.length },
      ...(predecessor === undefined ? {} : { predecessor }),
      ...(successor === undefined ? {} : { successor }),
      outcome: { successes: it.successes.length },
    });
    const { chain, versions, forgotten } = await this.calls.history(uid);
    const known = this.chainOf(it);
    expect(chain.map((one) => one.uid)).toEqual(known.map((one) => one.uid));
    const wanted = known
      .flatMap((one) =>
        one.versions.map((v) => ({ uid: one.uid, version: v.version, at: v.at, change: v.change })),
      )
      .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
    expect(versions.map(({ differences: _differences, ...rest }) => rest)).toEqual(wanted);
    expect(forgotten.every((one) => this.forgotten.has(one.uid))).toBe(true);
  }

  /** Without those that were forgotten; the chain is told past them. */
  chainOf(it: ModelTrace): ModelTrace[] {
    const links = new Map([...this.links]);
    const chain: string[] = [it.uid];
    for (let uid = links.get(it.uid)?.before; uid !== undefined; uid = links.get(uid)?.before)
      chain.unshift(uid);
    for (let uid = links.get(it.uid)?.after; uid !== undefined; uid = links.get(uid)?.after) chain.push(uid);
    return chain.flatMap((uid) => this.model.get(uid) ?? []);
  }
  readonly #links = new Map<string, { before?: string; after?: string }>();
  get links() {
    for (const { uid, predecessor, successor } of this.model.values())
      this.#links.set(uid, {
        ...(predecessor === undefined ? {} : { before: predecessor }),
        ...(successor === undefined ? {} : { after: successor }),
      });
    return this.#links;
  }

  async checkSearch(): Promise<void> {
    const user = this.random() < 0.8 ? this.pick(USERS) : undefined;
    const tag = this.random() < 0.3 ? this.pick(TAGS) : undefined;
    const as_of = this.random() < 0.7 && this.moments.length > 0 ? this.pick(this.moments) : undefined;
    const include_retired = this.random() < 0.3;
    const include_superseded = this.random() < 0.3;
    const from = new Date().toISOString();
    const which = {
      ...(user === undefined ? {} : { scope: { user_id: user } }),
      ...(tag === undefined ? {} : { tags: [tag] }),
      ...(as_of === undefined ? {} : { as_of }),
      include_retired,
      include_superseded,
    };
    const { results } = await this.calls.search({
      ...(this.random() < 0.8 ? { query: this.text(), exact: true } : {}),
      ...which,
      k: 200,
    });
    const { count } = await this.calls.count(which);
    const to = new Date().toISOString();
    const states = [
      "live",
      ...(include_retired ? ["retired"] : []),
      ...(include_superseded ? ["superseded"] : []),
    ];
    const wanted = (at: string) =>
      [...this.model.values()].flatMap((it) => {
        const version = as_of === undefined ? present(it) : it.versions.findLast((one) => one.at <= as_of);
        const fits =
          version &&
          states.includes(version.state) &&
          (user === undefined || it.user === user) &&
          (tag === undefined || version.tags.includes(tag)) &&
          (version.valid_to === undefined || at < version.valid_to);
        return fits ? [`${it.uid}@${version.version} ${JSON.stringify(version.content)}`] : [];
      });
    const found = results.map(
      ({ trace }) => `${trace.uid}@${trace.version} ${JSON.stringify(trace.content)}`,
    );
    // What ends to hold while the search runs may be told or not.
    const [early, late] = [new Set(wanted(as_of ?? from)), new Set(wanted(as_of ?? to))];
    expect(found.filter((it) => !early.has(it))).toEqual([]);
    expect([...late].filter((it) => !found.includes(it))).toEqual([]);
    expect(new Set(found).size).toBe(found.length);
    expect(count).toBeLessThanOrEqual(new Set(wanted(as_of ?? from)).size);
    expect(count).toBeGreaterThanOrEqual(new Set(wanted(as_of ?? new Date().toISOString())).size);
  }
}

test(
  `${OPERATIONS} random operations, killed and restarted between them, are the model's`,
  async () => {
    const lake = await startProcesses("mounted");
    const run = new Run(pathwayAt(lake.url));
    try {
      for (let at = 1; at <= OPERATIONS; at++) {
        await run.step();
        if (at % RESTART_EVERY !== 0) continue;
        if (run.random() < 0.5) await lake.restart("all");
        else await killed(run, lake);
        expect((await run.calls.health()).journal).toMatchObject({ corrupt: 0, gaps: 0, orphans: 0 });
        for (const it of run.model.values()) await run.checkTrace(it);
        for (let search = 0; search < 10; search++) await run.checkSearch();
      }
    } finally {
      await lake.stop();
      rmSync(lake.data_dir, { recursive: true, force: true });
    }
  },
  60_000 + OPERATIONS * 60,
);

/** What was under way when it died is there or is not; what was acknowledged is. */
async function killed(run: Run, lake: Awaited<ReturnType<typeof startProcesses>>): Promise<void> {
  const dying: Trace[] = [];
  let is_killed = false;
  const writing = Array.from({ length: 4 }, async () => {
    while (!is_killed)
      try {
        dying.push(await run.calls.add({ content: "last words", scope: { user_id: "dying" } }));
      } catch (error) {
        if (!is_killed) throw error;
      }
  });
  await Bun.sleep(run.random() * 50);
  is_killed = true;
  await lake.kill("all", "SIGKILL");
  await Promise.all(writing);
  await lake.restart("all");
  for (const trace of dying) expect((await run.calls.get(trace.uid)).content).toBe("last words");
  const { results } = await run.calls.search({
    query: "last words",
    exact: true,
    scope: { user_id: "dying" },
    k: 200,
  });
  const found = new Set(results.map((it) => it.uid));
  if (dying.length < 150) expect(dying.filter((it) => !found.has(it.uid))).toEqual([]);
  for (const { uid, trace } of results) {
    await run.calls.forget({ uid });
    expect(trace.content).toBe("last words");
  }
  for (const { uid } of dying) if (!found.has(uid)) await run.calls.forget({ uid });
}
