import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Router } from '@koa/router';
import express from 'express';
import fastify from 'fastify';
import Koa from 'koa';
import * as forExpress from '../../src/express.ts';
import * as forFastify from '../../src/fastify.ts';
import { createVerifier, type VerifiedToken, type Verifier } from '../../src/index.ts';
import * as forKoa from '../../src/koa.ts';
import { type Api, ask, serve } from '../support/api.ts';
import { audience, type Issuer, startIssuer, tenantId } from '../support/issuer.ts';
import { makeHolder, prove } from '../support/proof.ts';

const resource = `${audience}/orders`;
const metadataPath = '/.well-known/oauth-protected-resource/orders';
const options = { scope: 'read', resource };
let issuer: Issuer;

interface Frame {
  /** Serves the metadata, and under /orders what the guard protects; POST by a second guard that wants `write`. */
  start(verifier: Verifier): Promise<Api>;
}

const metadata = () => ({
  resource,
  authorizationServers: [issuer.url],
  scopes: ['read', 'write'],
  proofAlgorithms: ['ES256'],
});

const frames: Record<string, Frame> = {
  Koa: {
    start(verifier) {
      const app = new Koa();
      app.silent = true;
      app.use(forKoa.protectedResourceMetadata(metadata()));
      const router = new Router<{ token: VerifiedToken }>();
      router.get('/orders/:id', (ctx) => {
        ctx.body = { tenant: ctx.state.token.tenantId };
      });
      router.post('/orders/:id', forKoa.guard(verifier, { ...options, scope: 'write' }), (ctx) => {
        ctx.body = { tenant: ctx.state.token.tenantId };
      });
      app.use(forKoa.guard(verifier, options)).use(router.routes());
      return serve(app.callback());
    },
  },
  Express: {
    start(verifier) {
      const app = express();
      app.set('env', 'test');
      app.use(forExpress.protectedResourceMetadata(metadata()));
      app.use('/orders', forExpress.guard(verifier, options));
      app.get('/orders/:id', (req, res) => {
        res.json({ tenant: req.token?.tenantId });
      });
      app.post('/orders/:id', forExpress.guard(verifier, { ...options, scope: 'write' }), (req, res) => {
        res.json({ tenant: req.token?.tenantId });
      });
      return serve(app);
    },
  },
  Fastify: {
    async start(verifier) {
      const app = fastify();
      app.register(forFastify.protectedResourceMetadata(metadata()));
      app.register(async (orders) => {
        orders.addHook('onRequest', forFastify.guard(verifier, options));
        orders.get('/orders/:id', async (request) => ({ tenant: request.token?.tenantId }));
        const onRequest = forFastify.guard(verifier, { ...options, scope: 'write' });
        orders.post('/orders/:id', { onRequest }, async (request) => ({ tenant: request.token?.tenantId }));
      });
      await app.listen({ port: 0, host: '127.0.0.1' });
      const { port } = app.server.address() as AddressInfo;
      return { url: `http://127.0.0.1:${port}`, stop: () => app.close() };
    },
  },
};

beforeAll(async () => {
  issuer = await startIssuer();
});
afterAll(() => issuer?.stop());

describe.each(Object.entries(frames))('the guard for %s', (_, { start }) => {
  let api: Api;
  let url: string;
  let broken = false;

  beforeAll(async () => {
    const isRevoked = () => {
      if (broken) throw new Error('the list cannot be read');
      return false;
    };
    api = await start(
      createVerifier({ issuer: issuer.url, audience: resource, now: issuer.clock, isRevoked }),
    );
    url = `${api.url}/orders/1`;
  });
  afterAll(() => api?.stop());

  const mint = (claims = {}) => issuer.mint({ aud: resource, ...claims });

  test('puts the tenant of a good token on the request', async () => {
    expect(await ask(`${url}?x=1`, `Bearer ${await mint()}`)).toMatchObject({
      status: 200,
      body: { tenant: tenantId },
    });
  });

  test.each([
    [401, 'missing_token', async () => undefined],
    [400, 'invalid_request', async () => 'Bearer a b'],
    [401, 'invalid_token', async () => 'Bearer abc'],
    [401, 'invalid_token', async () => `Bearer ${await mint({ exp: issuer.at - 60 })}`],
    [403, 'insufficient_scope', async () => `Bearer ${await mint({ scope: 'write' })}`],
  ])('answers %d %s as JSON that nobody stores [A-077, RFC 6750 3.1]', async (status, error, make) => {
    const answer = await ask(url, await make());
    expect(answer).toMatchObject({ status, body: { error, error_description: expect.any(String) } });
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(answer.headers.get('cache-control')).toBe('no-store');
    const said = answer.headers.get('www-authenticate')!;
    expect(said).toContain(`resource_metadata="${audience}${metadataPath}"`);
    expect(said.includes(`error="${error}"`)).toBe(error !== 'missing_token');
  });

  test('takes a bound token with its proof, for the whole path and once [RFC 9449 7.1]', async () => {
    const holder = await makeHolder();
    const token = await mint({ cnf: { jkt: holder.jkt } });
    const dpop = await prove(holder, { method: 'GET', url, token, at: issuer.at });
    expect((await ask(url, `DPoP ${token}`, { dpop })).status).toBe(200);
    expect((await ask(url, `DPoP ${token}`, { dpop })).status).toBe(401);
    expect((await ask(url, `Bearer ${token}`)).status).toBe(401);
  });

  test('may be followed by another one that wants more, and the proof counts once', async () => {
    const holder = await makeHolder();
    for (const [scope, status] of [
      ['read write', 200],
      ['read', 403],
    ] as const) {
      const token = await mint({ scope, cnf: { jkt: holder.jkt } });
      const dpop = await prove(holder, { method: 'POST', url, token, at: issuer.at });
      const answer = await ask(url, `DPoP ${token}`, { method: 'POST', dpop });
      expect(answer.status).toBe(status);
      expect((await ask(url, `DPoP ${token}`, { method: 'POST', dpop })).status).toBe(401);
    }
  });

  test('leaves the error of a hook to the framework, and lets nobody in', async () => {
    broken = true;
    const answer = await ask(url, `Bearer ${await mint()}`);
    expect(answer.status).toBe(500);
    expect(answer.body['tenant']).toBeUndefined();
    broken = false;
  });

  test('serves the metadata of the resource to anybody [RFC 9728 3]', async () => {
    const { status, headers, body } = await ask(api.url + metadataPath);
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(headers.get('cache-control')).toBe('public, max-age=300');
    expect(body).toEqual({
      resource,
      authorization_servers: [issuer.url],
      scopes_supported: ['read', 'write'],
      bearer_methods_supported: ['header'],
      dpop_signing_alg_values_supported: ['ES256'],
    });
    expect((await fetch(api.url + metadataPath, { method: 'HEAD' })).status).toBe(200);
    expect((await ask(api.url + metadataPath, undefined, { method: 'POST' })).status).not.toBe(200);
  });
});

describe('wrong options are refused when the guard is made', () => {
  const verifier = () => createVerifier({ issuer: issuer.url, audience });

  test.each([
    ['an unknown one', { scopes: 'read' }, /no option scopes/],
    ['an origin without https', { origin: 'http://api.example.test' }, /origin/],
    ['an origin with a query', { origin: 'https://api.example.test/?x' }, /origin/],
    ['a scope with a quotation mark', { scope: 'a"b' }, /scope/],
    ['a resource that is no URL', { resource: 'orders' }, /resource/],
  ])('%s', (_, given, message) => {
    for (const { guard } of [forKoa, forExpress, forFastify]) {
      expect(() => guard(verifier(), given as object)).toThrow(message);
    }
  });

  test('and metadata of what is no issuer', () => {
    const given = { resource, authorizationServers: ['http://evil.test'] };
    expect(() => forKoa.protectedResourceMetadata(given)).toThrow(/authorizationServers/);
  });
});
