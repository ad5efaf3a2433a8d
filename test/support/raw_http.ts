/** HTTP over a bare socket: a request's target goes out byte for byte, where fetch would tidy it. */
import { connect, type Socket } from "node:net";

export interface RawAnswer {
  status: number;
  headers: Map<string, string>;
  body: Buffer;
}

/** One connection, one request at a time; opened again where the server has closed it. */
export class RawClient {
  readonly #port: number;
  readonly #hostname: string;
  #socket: Socket | undefined;
  #received: Buffer = Buffer.alloc(0);
  #wake: () => void = () => {};

  constructor(url: string) {
    const { hostname, port } = new URL(url);
    this.#hostname = hostname;
    this.#port = Number(port);
  }

  /** @param target sent as these bytes, after the method and one space */
  async send(method: string, target: Buffer, body = ""): Promise<RawAnswer> {
    const socket = this.#open();
    const length = Buffer.byteLength(body);
    const head = `${method} `;
    const rest = ` HTTP/1.1\r\nHost: ${this.#hostname}:${this.#port}\r\nContent-Length: ${length}\r\n\r\n${body}`;
    socket.write(Buffer.concat([Buffer.from(head), target, Buffer.from(rest)]));
    const lines = (await this.#until("\r\n\r\n")).toString("latin1").split("\r\n");
    const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(lines[0] ?? "")?.[1]);
    const headers = new Map(
      lines.slice(1).map((it) => {
        const colon = it.indexOf(":");
        return [it.slice(0, colon).toLowerCase(), it.slice(colon + 1).trim()];
      }),
    );
    const answer = { status, headers, body: await this.#body(method, status, headers) };
    if (headers.get("connection") === "close") this.close();
    return answer;
  }

  close(): void {
    this.#socket?.destroy();
    this.#socket = undefined;
  }

  async #body(method: string, status: number, headers: Map<string, string>): Promise<Buffer> {
    if (method === "HEAD" || status === 204 || status === 304) return Buffer.alloc(0);
    if (headers.get("transfer-encoding") !== "chunked")
      return this.#take(Number(headers.get("content-length") ?? 0));
    const parts: Buffer[] = [];
    for (;;) {
      const size = Number.parseInt((await this.#until("\r\n")).toString("latin1"), 16);
      parts.push(await this.#take(size));
      await this.#take(2);
      if (size === 0) return Buffer.concat(parts);
    }
  }

  #open(): Socket {
    if (this.#socket && !this.#socket.destroyed) return this.#socket;
    this.#received = Buffer.alloc(0);
    const socket = connect(this.#port, this.#hostname);
    this.#socket = socket;
    socket.on("data", (data: Buffer) => {
      this.#received = Buffer.concat([this.#received, data]);
      this.#wake();
    });
    for (const event of ["close", "error"] as const)
      socket.on(event, () => {
        if (this.#socket === socket) this.#socket = undefined;
        this.#wake();
      });
    return socket;
  }

  async #until(mark: string): Promise<Buffer> {
    for (;;) {
      const at = this.#received.indexOf(mark);
      if (at !== -1) return (await this.#take(at + mark.length)).subarray(0, at);
      await this.#more();
    }
  }

  async #take(bytes: number): Promise<Buffer> {
    while (this.#received.length < bytes) await this.#more();
    const taken = this.#received.subarray(0, bytes);
    this.#received = this.#received.subarray(bytes);
    return taken;
  }

  async #more(): Promise<void> {
    if (this.#socket === undefined) throw new Error("the server closed the connection within an answer");
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }
}
