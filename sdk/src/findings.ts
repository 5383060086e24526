/** What is wrong with a schema, and how to mend it: the shape that `--json` prints. */
export interface Finding {
  /** The pitfall and its name: `P-02/unforced-rls`. Stable. */
  rule: string;
  /** What it is about, as PostgreSQL prints it: `orders.items`, `policy x on orders.items`, `role app`. */
  object: string;
  /** What somebody could do, in a sentence. */
  risk: string;
  /** SQL that mends it, or what to decide when SQL cannot. */
  fix: string;
}
