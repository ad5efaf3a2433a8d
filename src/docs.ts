/** Swagger UI from our own disk: it works without internet, and nothing it loads comes from elsewhere. */
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { Elysia } from "elysia";

const SECURITY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

/** Relative to /swagger, so that the page also works behind a path of another proxy. */
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Lakehouse: the API</title>
<link rel="icon" href="swagger/favicon.png" type="image/png">
<link rel="stylesheet" href="swagger/ui.css">
</head>
<body>
<div id="ui"></div>
<script src="swagger/ui.js"></script>
<script src="swagger/start.js"></script>
</body>
</html>
`;

const START = `SwaggerUIBundle({
  url: "swagger/json",
  dom_id: "#ui",
  deepLinking: true,
  docExpansion: "none",
  displayRequestDuration: true,
  filter: true,
  persistAuthorization: true,
  tryItOutEnabled: false,
  validatorUrl: null,
});
`;

/** Files of the package, found without importing it: its entry loads the whole bundle. */
const DIST = dirname(fileURLToPath(import.meta.resolve("swagger-ui-dist/package.json")));
const file = (name: string) => () => Bun.file(join(DIST, name));

const PAGES: Record<string, { type: string; body: () => string | Blob }> = {
  "/swagger": { type: "text/html; charset=utf-8", body: () => PAGE },
  "/swagger/start.js": { type: "text/javascript; charset=utf-8", body: () => START },
  "/swagger/ui.js": { type: "text/javascript; charset=utf-8", body: file("swagger-ui-bundle.js") },
  "/swagger/ui.css": { type: "text/css; charset=utf-8", body: file("swagger-ui.css") },
  "/swagger/favicon.png": { type: "image/png", body: file("favicon-32x32.png") },
};

/** The page at /swagger and what it loads; open without a key, since it holds nothing but the program's own docs. */
export function swaggerUi() {
  const app = new Elysia({ name: "docs", normalize: false });
  for (const [path, { type, body }] of Object.entries(PAGES)) {
    const headers = {
      "content-type": type,
      "content-security-policy": SECURITY,
      "x-content-type-options": "nosniff",
      "referrer-policy": "no-referrer",
      "cache-control": "no-cache",
    };
    const answer = ({ request }: { request: Request }) =>
      new URL(request.url).pathname === "/swagger/"
        ? new Response(null, { status: 308, headers: { location: "../swagger" } })
        : new Response(body(), { headers });
    app.get(path, answer, { detail: { hide: true } });
  }
  return app;
}
