const maxBytes = 256 * 1024;

export interface Fetched {
  document: Record<string, unknown>;
  headers: Headers;
}

/**
 * GETs a JSON object: no redirect followed, at most 256 KiB, `timeout` seconds for all of it. Throws an Error that
 * names the URL for any answer but 200 with such an object.
 */
export async function fetchJson(url: string, request: typeof fetch, timeout: number): Promise<Fetched> {
  const response = await request(url, {
    headers: { accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(timeout * 1000),
  });
  if (response.status !== 200 || response.redirected) {
    await response.body?.cancel();
    throw new Error(`${url} answered ${response.redirected ? 'by a redirect' : response.status}`);
  }
  const document = parse(await readBounded(response, url), url);
  return { document, headers: response.headers };
}

async function readBounded(response: Response, url: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Leaving the loop early cancels the body.
  for await (const chunk of response.body ?? []) {
    length += chunk.byteLength;
    if (length > maxBytes) throw new Error(`${url} answered with more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parse(text: string, url: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return value as Record<string, unknown>;
    }
  } catch {
    // Answered below, as is JSON that is no object.
  }
  throw new Error(`${url} answered with something other than a JSON object`);
}
