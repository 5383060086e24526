import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { exportJWK, generateKeyPair } from 'jose';
import { eventually } from '../../../test/support/eventually.ts';
import { createVerifier, type Verifier, type VerifierOptions } from '../../src/index.ts';
import {
  type Answer,
  audience,
  discoveryPath,
  type Issuer,
  makeKey,
  type SigningKey,
  startIssuer,
} from '../support/issuer.ts';

let issuer: Issuer;
let verifier: Verifier;
const next: SigningKey = await makeKey('next');

const make = (options: Partial<VerifierOptions> = {}) =>
  createVerifier({ issuer: issuer.url, audience, now: issuer.clock, ...options });
const codeOf = (token: string, by = verifier) =>
  by.verify(token).then(
    () => 'accepted',
    (error) => error.code,
  );
const fetches = () => issuer.fetched.splice(0);
beforeEach(async () => {
  issuer = await startIssuer();
  verifier = make();
});
afterEach(() => issuer.stop());

test('keys are fetched at the first token, once for all who wait for them', async () => {
  expect(fetches()).toEqual([]);
  const tokens = await Promise.all(Array.from({ length: 20 }, () => issuer.mint()));
  expect(await Promise.all(tokens.map((token) => codeOf(token)))).toEqual(Array(20).fill('accepted'));
  expect(fetches()).toEqual([discoveryPath, '/jwks']);
});

test('what is no access token of this issuer does not make it fetch anything', async () => {
  const tokens = [
    'abc',
    await issuer.mint({}, { typ: 'JWT' }),
    await issuer.mint({ iss: 'https://evil.test' }),
  ];
  for (const token of tokens) expect(await codeOf(token)).not.toBe('accepted');
  expect(fetches()).toEqual([]);
});

describe('a key that is not known', () => {
  test('is fetched at once, and its tokens are good from then on', async () => {
    await codeOf(await issuer.mint());
    issuer.jwks.push(next.jwk);
    fetches();
    const tokens = await Promise.all(Array.from({ length: 20 }, () => issuer.mint({}, {}, next)));
    expect(await Promise.all(tokens.map((token) => codeOf(token)))).toEqual(Array(20).fill('accepted'));
    expect(fetches()).toEqual(['/jwks']);
  });

  test('is asked for once in 30 s, however many there are', async () => {
    await codeOf(await issuer.mint());
    fetches();
    const flood = async () => {
      const forged = await Promise.all(
        Array.from({ length: 50 }, (_, index) => issuer.mint({}, { kid: `no-${index}` }, next)),
      );
      return new Set(await Promise.all(forged.map((token) => codeOf(token))));
    };
    expect(await flood()).toEqual(new Set(['unknown_key']));
    issuer.at += 29;
    await flood();
    expect(fetches()).toEqual(['/jwks']);
    issuer.at += 1;
    await flood();
    expect(fetches()).toEqual(['/jwks']);
  });

  test('is not asked for again by the token that has just fetched the keys', async () => {
    expect(await codeOf(await issuer.mint({}, {}, next))).toBe('unknown_key');
    expect(fetches()).toEqual([discoveryPath, '/jwks']);
  });
});

describe('the key set', () => {
  test.each([
    ['max-age=600', 600],
    ['public, max-age=600, must-revalidate', 600],
    [undefined, 300],
    ['no-store', 30],
    ['max-age=0', 30],
    ['s-max-age=5', 300],
  ])('with Cache-Control %s is refreshed in the background', async (cacheControl, seconds) => {
    issuer.cacheControl = cacheControl;
    await codeOf(await issuer.mint());
    fetches();
    issuer.at += seconds - 1;
    await codeOf(await issuer.mint());
    expect(fetches()).toEqual([]);
    issuer.at += 1;
    expect(await codeOf(await issuer.mint())).toBe('accepted');
    await eventually(() => issuer.fetched[1]);
    expect(issuer.fetched).toEqual([discoveryPath, '/jwks']);
  });

  test('is waited for after a pause, so that no withdrawn key is accepted even once', async () => {
    await codeOf(await issuer.mint());
    issuer.jwks = [next.jwk];
    issuer.at += 601;
    expect(await codeOf(await issuer.mint())).toBe('unknown_key');
    expect(await codeOf(await issuer.mint({}, {}, next))).toBe('accepted');
  });

  test('is refreshed when the clock was set back by more than its age', async () => {
    await codeOf(await issuer.mint());
    issuer.jwks = [next.jwk];
    issuer.at -= 86_400;
    expect(await codeOf(await issuer.mint({}, {}, next))).toBe('accepted');
  });

  test('is followed to where the issuer has moved it', async () => {
    await codeOf(await issuer.mint());
    issuer.discovery = { jwks_uri: `${issuer.url}/other` };
    issuer.answers['/other'] = (_, res) => res.end(JSON.stringify({ keys: [next.jwk] }));
    issuer.at += 601;
    expect(await codeOf(await issuer.mint({}, {}, next))).toBe('accepted');
  });

  test('lends no key that is private, symmetric, weak, for encryption or without a name', async () => {
    const weak = await makeKey('weak', 'RS256');
    const short = await generateKeyPair('RS256', { modulusLength: 2048, extractable: true });
    const secret = { kty: 'oct', kid: 'secret', k: Buffer.from('secret').toString('base64url') };
    issuer.jwks = [
      { ...(await exportJWK(next.privateKey)), kid: 'next' },
      secret,
      { ...weak.jwk, n: weak.jwk.n!.slice(0, 171) },
      { ...(await exportJWK(short.publicKey)), kid: 'encrypts', use: 'enc' },
      { ...next.jwk, kid: undefined },
      null,
      'first',
      { ...issuer.key.jwk, kid: 'other', key_ops: ['sign'] },
      issuer.key.jwk,
      { ...next.jwk, kid: 'first' },
    ];
    verifier = make({ algorithms: ['ES256', 'RS256'] });
    expect(await codeOf(await issuer.mint())).toBe('accepted');
    expect(await codeOf(await issuer.mint({}, {}, next))).toBe('unknown_key');
    expect(await codeOf(await issuer.mint({}, { kid: 'secret' }, next))).toBe('unknown_key');
    for (const kid of ['weak', 'encrypts']) {
      expect(await codeOf(await issuer.mint({}, { kid, alg: 'RS256' }, next))).toBe('wrong_algorithm');
    }
    expect(await codeOf(await issuer.mint({}, { kid: 'other' }))).toBe('wrong_algorithm');
    expect(await codeOf(await issuer.mint({}, { kid: 'first' }, next))).toBe('bad_signature');
  });
});

describe('while the issuer is down', () => {
  test('tokens are verified with the keys at hand, new tokens too', async () => {
    await codeOf(await issuer.mint());
    issuer.down = true;
    for (const pause of [299, 400, 3_600, 86_400]) {
      issuer.at += pause;
      expect(await codeOf(await issuer.mint())).toBe('accepted');
    }
    expect(await codeOf(await issuer.mint({}, {}, next))).toBe('unknown_key');
    issuer.down = false;
    issuer.jwks = [next.jwk];
    issuer.at += 30;
    expect(await codeOf(await issuer.mint({}, {}, next))).toBe('accepted');
  });

  test('it is asked at most once in 30 s', async () => {
    await codeOf(await issuer.mint());
    issuer.down = true;
    issuer.at += 601;
    fetches();
    for (let index = 0; index < 10; index++) {
      expect(await codeOf(await issuer.mint())).toBe('accepted');
      issuer.at += 2;
    }
    expect(fetches()).toEqual([discoveryPath]);
  });

  test('a verifier that never had keys says so, and finds them a second after they are back', async () => {
    issuer.down = true;
    const token = await issuer.mint();
    await expect(verifier.verify(token)).rejects.toMatchObject({ code: 'keys_unavailable', status: 503 });
    fetches();
    expect(await codeOf(token)).toBe('keys_unavailable');
    expect(fetches()).toEqual([]);
    issuer.down = false;
    issuer.at += 1;
    expect(await codeOf(token)).toBe('accepted');
  });
});

describe('an answer that cannot be trusted is none', () => {
  const document = (change: Record<string, unknown>) => () => {
    issuer.discovery = change;
  };
  const keys = (answer: Answer) => () => {
    issuer.answers['/jwks'] = answer;
    issuer.answers['/moved'] = (_, res) => res.end(JSON.stringify({ keys: issuer.jwks }));
  };
  const text = (body: string, status = 200) => keys((_, res) => res.writeHead(status).end(body));

  test.each<[name: string, change: () => void]>([
    ['the document of another issuer', document({ issuer: 'https://evil.test' })],
    ['the document of no issuer', document({ issuer: undefined })],
    ['keys without https elsewhere', document({ jwks_uri: 'http://evil.test/jwks' })],
    ['keys behind a password', document({ jwks_uri: 'https://a:b@evil.test/jwks' })],
    ['keys in a file', document({ jwks_uri: 'file:///etc/passwd' })],
    ['keys in the document itself', document({ jwks_uri: 'data:,{"keys":[]}' })],
    ['no jwks_uri', document({ jwks_uri: undefined })],
    ['an error', text('{"keys":[]}', 500)],
    ['no JSON', text('<html>')],
    ['a list', text('[]')],
    ['no keys', text('{}')],
    ['keys that are no list', text('{"keys":{}}')],
    ['101 keys', text(JSON.stringify({ keys: Array(101).fill({}) }))],
    ['more than 256 KiB', text(`{"keys":[],"x":"${'x'.repeat(256 * 1024)}"}`)],
    ['a redirect', keys((_, res) => res.writeHead(302, { location: '/moved' }).end())],
    ['nothing, for too long', keys(() => {})],
    ['a body that does not end', keys((_, res) => res.writeHead(200).write('{"keys":['))],
  ])('%s', async (_, change) => {
    change();
    const hasty = make({ timeout: 0.3 });
    const error = await hasty.verify(await issuer.mint()).catch((refused) => refused);
    expect(error).toMatchObject({ code: 'keys_unavailable', cause: expect.anything() });
    expect(issuer.fetched).not.toContain('/moved');
  });

  test('and does not replace the keys at hand', async () => {
    await codeOf(await issuer.mint());
    text('{}')();
    issuer.at += 601;
    expect(await codeOf(await issuer.mint())).toBe('accepted');
  });
});

test('an issuer elsewhere cannot send the verifier to this machine', async () => {
  const asked: string[] = [];
  const far = 'https://issuer.example.test';
  const elsewhere = make({
    issuer: far,
    fetch: async (url) => {
      asked.push(String(url));
      return Response.json({ issuer: far, jwks_uri: 'https://localhost/jwks' });
    },
  });
  expect(await codeOf(await issuer.mint({ iss: far }), elsewhere)).toBe('keys_unavailable');
  expect(asked).toEqual([`${far}${discoveryPath}`]);
});
