/** The API's page in a real Chromium: it opens, expands, tries a route out, and asks nobody else for anything. */
import { expect, test } from "bun:test";
import { serviceNames } from "../../src/services/index.ts";
import { chromium_path, openBrowser } from "../support/browser.ts";
import { inBothCompositions } from "../support/house.ts";

const BROWSER_WAIT_MS = 60_000;

interface Operation {
  tags?: string[];
  summary?: string;
  description?: string;
  responses?: object;
  requestBody?: { content: Record<string, { example?: unknown; schema?: { examples?: unknown[] } }> };
}

interface OpenApi {
  tags?: { name: string; description?: string }[];
  paths: Record<string, Record<string, Operation>>;
}

if (!chromium_path && process.env.CI) throw new Error("CI needs Chromium, and there is none");
if (!chromium_path)
  console.warn("SKIPPED: the page's test in a browser, since no Chromium is installed here");

inBothCompositions("swagger", (start) => {
  test("the page loads from this listener alone, under a policy that holds it to that", async () => {
    const { url } = await start();
    const page = await fetch(`${url}/swagger`);
    expect(page.status).toBe(200);
    expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'; script-src 'self'");
    const html = await page.text();
    expect(html).not.toContain("//");
    for (const [, path] of html.matchAll(/(?:src|href)="([^"]+)"/g))
      expect(`${path} ${(await fetch(`${url}/${path}`)).status}`).toBe(`${path} 200`);
    const slash = await fetch(`${url}/swagger/`, { redirect: "manual" });
    expect([slash.status, slash.headers.get("location")]).toEqual([308, "../swagger"]);
  });

  test("the document groups every route by service, with summary, description and answers", async () => {
    const { url } = await start();
    const document = (await (await fetch(`${url}/swagger/json`)).json()) as OpenApi;
    const groups = ["gateway", ...serviceNames];
    expect(document.tags?.map(({ name }) => name)).toEqual(groups);
    expect(document.tags?.every(({ description }) => (description ?? "").length > 10)).toBe(true);
    const seen = new Set<string>();
    for (const [path, operations] of Object.entries(document.paths))
      for (const [method, { tags, summary, description, responses, requestBody }] of Object.entries(
        operations,
      )) {
        const route = `${method} ${path}`;
        expect({ route, known: groups.includes(tags?.[0] ?? ""), summary, description, responses }).toEqual({
          route,
          known: true,
          summary: expect.any(String),
          description: expect.any(String),
          responses: expect.any(Object),
        });
        seen.add(tags?.[0] as string);
        const body = requestBody?.content["application/json"];
        const example = body?.example ?? body?.schema?.examples?.[0];
        if (body) expect({ route, example }).toEqual({ route, example: expect.anything() });
      }
    expect([...seen].sort()).toEqual([...groups].sort());
  });

  test.skipIf(!chromium_path)(
    "a route is tried out in the browser",
    async () => {
      const { url } = await start();
      const browser = await openBrowser();
      try {
        const page = await browser.context.newPage();
        const complaints: string[] = [];
        page.on("pageerror", (error) => complaints.push(String(error)));
        page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
        await page.goto(`${url}/swagger`);
        await page.locator("#operations-tag-observerd").click();
        const route = page.locator(".opblock", { hasText: "/v1/observer/event" }).first();
        await route.locator(".opblock-summary").click();
        await route.getByRole("button", { name: "Try it out" }).click();
        await route.getByRole("button", { name: "Execute" }).click();
        const answered = route.locator(".live-responses-table .response");
        await answered.waitFor();
        expect(await answered.locator(".response-col_status").textContent()).toContain("200");
        expect(await answered.textContent()).toContain('"accepted": true');
        expect(browser.requested.filter((asked) => !asked.startsWith(`${url}/`))).toEqual([]);
        expect(complaints).toEqual([]);
        const stats = (await (await fetch(`${url}/v1/observer/stats`)).json()) as { total: number };
        expect(stats.total).toBe(1);
      } finally {
        await browser.close();
      }
    },
    BROWSER_WAIT_MS,
  );
});
