import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  decodeProtectedHeader,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import * as client from 'openid-client';
import { withTenant } from '#src/database/tenant.ts';
import {
  ensureSigningKeys,
  jwksMaxAge,
  publishedBefore,
  rotateSigningKeys,
  type SigningAlg,
} from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import { parseMasterKeys } from '#src/lib/master-key.ts';
import { eventually } from '#test/support/eventually.ts';
import { createFixture, type Fixture, resource } from '#test/support/fixture.ts';
import { authorize, browse, completeFlow, discover } from '#test/support/flow.ts';
import { insiderMasterKeys } from '#test/support/insider.ts';
import { runStatements } from '#test/support/postgres.ts';
import { race } from '#test/support/race.ts';
import { type Cluster, startCluster } from '#test/support/server.ts';

const parsed = parseMasterKeys(insiderMasterKeys);
const masterKeys = parsed.ok ? parsed.keys : [];
const algs: SigningAlg[] = ['ES256', 'RS256'];

const rotate = (fixture: Fixture, options: { algs?: SigningAlg[] } = { algs }) =>
  withTenant(fixture.db, platformTenantId, (tx) =>
    rotateSigningKeys(tx, masterKeys, { now: new Date(), ...options }),
  );

/** Lets time pass for the keys: all that happened to them happened so much earlier. */
const age = (fixture: Fixture, seconds: number) =>
  runStatements(fixture.urls.superUrl, [
    `update signing_keys set
       published_at = published_at - make_interval(secs => ${seconds}),
       active_from = active_from - make_interval(secs => ${seconds}),
       retired_at = retired_at - make_interval(secs => ${seconds})`,
  ]);

describe('a rotation asked for twenty times at once', () => {
  let fixture: Fixture;
  const cheap: SigningAlg[] = ['ES256', 'EdDSA'];
  const rotateOften = async () =>
    (await Promise.all(Array.from({ length: 20 }, () => rotate(fixture, { algs: cheap })))).flat();

  beforeAll(async () => {
    fixture = await createFixture();
    await withTenant(fixture.db, platformTenantId, (tx) => ensureSigningKeys(tx, masterKeys, new Date()));
  });
  afterAll(() => fixture?.drop());

  test('is planned once, for when every verifier must know the key [A-236]', async () => {
    const rotations = await rotateOften();
    for (const alg of cheap) {
      const ofAlg = rotations.filter((rotation) => rotation.alg === alg);
      expect(ofAlg).toHaveLength(20);
      expect(ofAlg.filter(({ planned_now }) => planned_now)).toHaveLength(1);
      expect(new Set(ofAlg.map(({ kid, active_from }) => `${kid} ${active_from.getTime()}`)).size).toBe(1);
      const [key] = await runStatements(fixture.urls.superUrl, [
        `select extract(epoch from active_from - published_at)::int as seconds
         from signing_keys where kid = '${ofAlg[0]!.kid}'`,
      ]);
      // More than max-age: the last node shows a key a moment after it was published.
      expect(key!['seconds']).toBeGreaterThanOrEqual(jwksMaxAge + 30);
    }
  });

  test('takes place once when the next key may sign already [A-236]', async () => {
    await age(fixture, 2 * publishedBefore);
    const rotations = await rotateOften();
    expect(rotations.filter(({ planned_now }) => planned_now)).toHaveLength(cheap.length);
    const rows = await runStatements(fixture.urls.superUrl, [
      `select alg, count(*)::int from signing_keys where alg in ('ES256', 'EdDSA') group by alg order by alg`,
    ]);
    // The first, the one planned above, the one that took over now, and the next.
    expect(rows).toEqual([
      { alg: 'ES256', count: 4 },
      { alg: 'EdDSA', count: 4 },
    ]);
  });
});

describe('twenty rotations under load, every hop on the other node', () => {
  let fixture: Fixture;
  let cluster: Cluster;
  /** How much time has passed for the keys beside the real time. Milliseconds. */
  let shift = 0;
  const clock = () => Date.now() + shift;
  const failures: string[] = [];
  const issued: { token: string; audience: string }[] = [];
  const firstSigned = new Map<string, number>();
  const shownEverywhere = new Map<string, number>();
  let strict: ReturnType<typeof makeStrictKeySet>;
  let remote: JWTVerifyGetKey;

  /** A verifier that asks for keys only when what it has may be cached no longer, and then gets what any node says. */
  function makeStrictKeySet() {
    let keys: ReturnType<typeof createLocalJWKSet> | undefined;
    let expires = 0;
    const refresh = async () => {
      const response = await fetch(`${cluster.issuer}/jwks`);
      const maxAge = /max-age=(\d+)/.exec(response.headers.get('cache-control') ?? '')![1];
      expires = clock() + Number(maxAge) * 1000;
      keys = createLocalJWKSet((await response.json()) as JSONWebKeySet);
    };
    const getKey: JWTVerifyGetKey = async (header, token) => {
      if (clock() >= expires) {
        await refresh();
      }
      return keys!(header, token);
    };
    return { getKey, refresh };
  }

  async function accept(token: string, audience: string) {
    const { kid } = decodeProtectedHeader(token);
    if (!firstSigned.has(kid!)) {
      firstSigned.set(kid!, clock());
    }
    issued.push({ token, audience });
    for (const getKey of [strict.getKey, remote]) {
      await jwtVerify(token, getKey, { issuer: cluster.issuer, audience });
    }
  }

  async function attempt(name: string, flow: () => Promise<void>) {
    await flow().catch((error) => failures.push(`${name}: ${error}`));
  }

  /** Signs in on the pages, redeems the code, renews the tokens. */
  const wholeFlow = (tenant: 'acme' | 'globex', email: string) =>
    attempt('whole flow', async () => {
      const client_id = `${tenant}-web`;
      const { config, tokens } = await completeFlow(cluster.issuer, client_id, { email });
      const renewed = await client.refreshTokenGrant(config, tokens.refresh_token!);
      await accept(tokens.access_token, resource);
      await accept(tokens.id_token!, client_id);
      await accept(renewed.access_token, resource);
    });

  async function startLoad() {
    const machine = await discover(cluster.issuer, 'globex-m2m');
    const { agent, config } = await completeFlow(cluster.issuer, 'acme-web', { email: 'bob@example.test' });
    const count = { machine: 0, silent: 0 };
    let running = true;
    const repeat = async (name: keyof typeof count, flow: () => Promise<void>) => {
      while (running) {
        await attempt(name, flow);
        count[name]++;
      }
    };
    const workers = [
      repeat('machine', async () => {
        await accept((await client.clientCredentialsGrant(machine)).access_token, resource);
      }),
      repeat('silent', async () => {
        const { url, checks } = await authorize(config, { prompt: 'none' });
        const tokens = await client.authorizationCodeGrant(config, await browse(agent, url), checks);
        await accept(tokens.access_token, resource);
        await accept(tokens.id_token!, 'acme-web');
      }),
    ];
    return {
      count,
      async stop() {
        running = false;
        await Promise.all(workers);
      },
    };
  }

  /** Waits until both nodes show the keys that the database publishes. */
  async function untilShown(): Promise<string[]> {
    const rows = await runStatements(fixture.urls.superUrl, [`select kid from signing_keys order by kid`]);
    const kids = rows.map(({ kid }) => kid as string);
    await eventually(async () => {
      const answers = await race(cluster, { path: '/jwks', headers: { accept: 'application/json' } }, 2);
      const shown = answers.map(({ json }) =>
        (json['keys'] as { kid: string }[]).map(({ kid }) => kid).sort(),
      );
      return shown.every((list) => list.join() === [...kids].sort().join()) || undefined;
    });
    for (const kid of kids) {
      shownEverywhere.set(kid, shownEverywhere.get(kid) ?? clock());
    }
    return kids;
  }

  async function untilSigning(kid: string) {
    await eventually(() => firstSigned.has(kid) || undefined);
  }

  beforeAll(async () => {
    fixture = await createFixture();
    cluster = await startCluster(fixture, 2, { MASTER_KEYS: insiderMasterKeys });
    strict = makeStrictKeySet();
    remote = createRemoteJWKSet(new URL(`${cluster.issuer}/jwks`), { cooldownDuration: 0 });
  });
  afterAll(async () => {
    await cluster?.stop();
    await fixture?.drop();
  });

  test('no flow fails and no verification, with keys cached for max-age [A-225, A-226, G-11]', async () => {
    const load = await startLoad();
    const everPublished = new Set(await untilShown());
    const first = new Set(everPublished);
    for (let round = 0; round < 20; round++) {
      const tenant = round % 2 ? 'acme' : 'globex';
      await wholeFlow(tenant, 'alice@example.test');
      if (round > 0) {
        shift += publishedBefore * 1000;
        await age(fixture, publishedBefore);
      }
      // The worst moment for a cache: just before the change.
      await strict.refresh();
      const [rotations] = await Promise.all([rotate(fixture), wholeFlow(tenant, 'bob@example.test')]);
      expect(rotations.every(({ planned_now }) => planned_now)).toBe(true);
      const known = everPublished.size;
      const kids = await untilShown();
      for (const kid of kids) {
        everPublished.add(kid);
      }
      expect(everPublished.size).toBe(known + algs.length);
      if (round === 0) {
        // The keys of a new server are not known everywhere yet, so this one was planned; half a second before its time
        // the nodes are left to their own clocks.
        const left =
          Math.min(...rotations.map(({ active_from }) => active_from.getTime())) - Date.now() - 500;
        shift += left;
        await age(fixture, left / 1000);
      }
      for (const { kid } of rotations) {
        await untilSigning(kid);
      }
    }
    await load.stop();

    expect(failures).toEqual([]);
    expect(load.count.machine).toBeGreaterThan(20);
    expect(load.count.silent).toBeGreaterThan(20);
    for (const [kid, at] of firstSigned) {
      if (!first.has(kid)) {
        expect(at - shownEverywhere.get(kid)!).toBeGreaterThanOrEqual(jwksMaxAge * 1000);
      }
    }
    // Every token that was signed before, by keys long replaced, still verifies.
    await strict.refresh();
    for (const { token, audience } of issued) {
      await jwtVerify(token, strict.getKey, { issuer: cluster.issuer, audience });
    }
  });
});
