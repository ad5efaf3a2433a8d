/** d1: the health of all, through the gateway of real processes. */
import { expect, test } from "bun:test";
import { serviceNames } from "../../src/services/index.ts";
import { inBothCompositionsOfProcesses } from "../support/processes.ts";

interface Report {
  status: string;
  version: string;
  uptime_ms: number;
  services: Record<string, { status: string; mode: string }>;
}

inBothCompositionsOfProcesses("d1", (start) => {
  test("health tells every service, and degrades where one has gone", async () => {
    const processes = await start();
    const health = async () => {
      const response = await fetch(`${processes.url}/health`);
      return { status: response.status, report: (await response.json()) as Report };
    };
    const { status, report } = await health();
    expect([status, report.status]).toEqual([200, "ok"]);
    expect(Object.keys(report.services).sort()).toEqual([...serviceNames].sort());
    const mode = processes.composition;
    for (const service of Object.values(report.services))
      expect(service).toMatchObject({ status: "ok", mode });
    if (mode === "mounted") return;

    await processes.kill("queryd");
    await Bun.sleep(300); // health is kept for a fifth of a second
    const without = await health();
    expect([without.status, without.report.status]).toEqual([200, "degraded"]);
    expect(without.report.services.queryd).toMatchObject({ status: "down", mode });
    const call = await fetch(`${processes.url}/v1/sql`, { method: "POST", body: "{}" });
    expect([call.status, ((await call.json()) as { code: string }).code]).toEqual([502, "unreachable"]);
    await processes.restart("queryd");
    await Bun.sleep(300);
    expect((await health()).report.status).toBe("ok");
  }, 60_000);
});
