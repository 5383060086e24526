import { text } from 'node:stream/consumers';
import type { Context } from 'koa';
import { Problem } from './problem.ts';

const maxBytes = 4096;
const maxCents = 2 ** 31 - 1;

/**
 * Reads `{ item, amount_cents }` from a JSON body: an item of 1 to 200 printable characters, whole cents from 0 to
 * what an int holds. Refuses (400) anything else, unknown members included, so that a body that names a tenant
 * is an error instead of a wish; 411 without a Content-Length; 413 over 4 KiB; 415 for another media type.
 */
export async function readOrder(ctx: Context): Promise<{ item: string; amount_cents: number }> {
  const { item, amount_cents, ...rest } = await readJsonObject(ctx);
  const unknown = Object.keys(rest);
  if (unknown.length > 0) throw invalid('only item and amount_cents are accepted');
  if (typeof item !== 'string' || !isPrintable(item))
    throw invalid('item must be 1 to 200 printable characters');
  if (!isCents(amount_cents)) throw invalid(`amount_cents must be a whole number from 0 to ${maxCents}`);
  return { item, amount_cents };
}

async function readJsonObject(ctx: Context): Promise<Record<string, unknown>> {
  if (!ctx.is('application/json')) throw new Problem(415, 'unsupported_media_type');
  // Node itself reads no further than the length announced, so the limit can be held before reading.
  const { length } = ctx.request;
  if (length === undefined) throw new Problem(411, 'length_required');
  if (length > maxBytes) throw new Problem(413, 'body_too_large');
  const body = await readJson(ctx);
  if (typeof body !== 'object' || body === null || Array.isArray(body))
    throw invalid('the body must be an object');
  return body as Record<string, unknown>;
}

async function readJson(ctx: Context): Promise<unknown> {
  try {
    return JSON.parse(await text(ctx.req));
  } catch (error) {
    throw invalid('the body is not JSON', error);
  }
}

// PostgreSQL stores no U+0000 and no lone surrogate: found here it is the caller's error, there it would be ours.
function isPrintable(text: string): boolean {
  const length = [...text].length;
  return length >= 1 && length <= 200 && text.isWellFormed() && !/\p{Cc}/u.test(text);
}

function isCents(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maxCents;
}

function invalid(detail: string, cause?: unknown): Problem {
  return new Problem(400, 'invalid_body', { detail, cause });
}
