import type { Finding } from '../findings.ts';

/** Something that one tenant tried on another's rows, and what came of it. */
export interface Attempt {
  /** The table, view, function or role it was about, as PostgreSQL prints it. */
  table: string;
  /** `read (count)`, `move own row to the other tenant`. */
  what: string;
  /** Who tried: `another tenant`, `no tenant (fresh connection)`. */
  as: string;
  /** `got through`: another tenant's row was seen or changed, or its existence told. */
  outcome: 'refused' | 'nothing' | 'got through';
  /** PostgreSQL's words for a refusal; what was seen or changed otherwise. */
  detail: string;
}

/** What a tenant must be able to do with its own rows: else it would prove nothing that others cannot. */
export interface Control {
  table: string;
  what: string;
  worked: boolean;
  detail: string;
}

/** What was tried and what got through. It is printed as it is by `--json`. */
export interface Report {
  findings: Finding[];
  attempts: Attempt[];
  controls: Control[];
  /** Tables in which no row could be made, with PostgreSQL's reason: nothing is proved of them. */
  unfilled: { table: string; reason: string }[];
  /** What was left out, or must be known to read the rest. */
  notes: string[];
  /** Tables that were tried. */
  tables: number;
  /** ISO 8601. */
  startedAt: string;
  /** Milliseconds. */
  duration: number;
  database: string;
  /** `18.0`. */
  server: string;
  /** The role that the attempts were made as. */
  role: string;
  /** The version of this package. */
  version: string;
}
