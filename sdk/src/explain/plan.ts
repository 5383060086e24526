import type pg from 'pg';

/** How PostgreSQL would read the rows. */
export interface PlanReport {
  /** Planner's units: 1 is about one page read in order. */
  cost: number;
  estimatedRows: number;
  /** Nodes that read the table, such as `Index Scan`. */
  scans: string[];
  /** Indexes that they use. */
  indexes: string[];
  /** Indexes that would be used if reading the whole table were not cheaper; told where `indexes` is empty. */
  usable: string[];
  /** How often the policies ask for the tenant. `never`: no part of the plan asks. */
  asks: 'once per query' | 'once per scan' | 'for each row' | 'never';
}

interface Node {
  'Node Type': string;
  'Parent Relationship'?: string;
  'Total Cost': number;
  'Plan Rows': number;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  'Recheck Cond'?: string;
  Filter?: string;
  'One-Time Filter'?: string;
  Plans?: Node[];
}

/** The plan of reading the whole table, `schema.name` as SQL takes it, in the open transaction, which it leaves as it was. */
export async function readPlan(client: pg.ClientBase, table: string): Promise<PlanReport> {
  const plan = await explain(client, table);
  const nodes = flatten(plan);
  const indexes = indexesOf(nodes);
  return {
    cost: plan['Total Cost'],
    estimatedRows: plan['Plan Rows'],
    scans: [...new Set(nodes.filter(isScan).map((node) => node['Node Type']))],
    indexes,
    usable: indexes.length > 0 ? [] : await usableIndexes(client, table),
    asks: asksFor(nodes),
  };
}

async function explain(client: pg.ClientBase, table: string): Promise<Node> {
  const { rows } = await client.query(`explain (format json) select * from ${table}`);
  return rows[0]['QUERY PLAN'][0].Plan;
}

// A small table is read whole, which says nothing of a large one.
async function usableIndexes(client: pg.ClientBase, table: string): Promise<string[]> {
  await client.query('set local enable_seqscan = off');
  const nodes = flatten(await explain(client, table));
  await client.query('set local enable_seqscan = on');
  // An index that is read from end to end, without a condition, leads to no tenant.
  return indexesOf(nodes.filter((node) => node['Index Cond'] !== undefined));
}

function flatten(node: Node): Node[] {
  return [node, ...(node.Plans ?? []).flatMap(flatten)];
}

function isScan(node: Node): boolean {
  return node['Relation Name'] !== undefined;
}

function indexesOf(nodes: Node[]): string[] {
  return [...new Set(nodes.flatMap((node) => node['Index Name'] ?? []))];
}

const call = /\b(current_setting|current_user|session_user|\w+\.\w+)\(|\bCURRENT_USER\b|\bSESSION_USER\b/;

function asksFor(nodes: Node[]): PlanReport['asks'] {
  if (nodes.some(({ Filter = '' }) => call.test(Filter))) return 'for each row';
  if (nodes.some((node) => node['Parent Relationship'] === 'InitPlan')) return 'once per query';
  const conditions = nodes.flatMap((node) => [node['Index Cond'] ?? '', node['One-Time Filter'] ?? '']);
  return conditions.some((condition) => call.test(condition)) ? 'once per scan' : 'never';
}
