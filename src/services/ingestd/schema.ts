/** ingestd's interface: files in, committed tables out. */

export interface Ingestd {
  /** Conversions under way and waiting. */
  load(): { running: number; waiting: number };
}
