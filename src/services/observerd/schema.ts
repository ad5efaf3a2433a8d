/** observerd's interface: the witness of every operation. */

/** One operation, as a client reports it; members beyond the known ones are kept as they came. */
export interface ObservedOp {
  endpoint: string;
  timestamp?: string;
  source?: string;
  success?: boolean;
  duration_ms?: number;
  id?: string;
  [member: string]: unknown;
}

export interface Recorded {
  accepted: true;
  id: string;
  ring_size: number;
  duplicate?: true;
}

export interface Observerd {
  /** Durable when it returns. @throws LakeError invalid, queue_full, unavailable */
  record(op: ObservedOp): Promise<Recorded>;
  /** The gateway's own report: into its own journal and ring, best effort. */
  witness(ops: ObservedOp[]): Promise<void>;
}
