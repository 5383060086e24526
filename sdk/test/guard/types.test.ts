import { expect, test } from '@jest/globals';
import type { Request } from 'express';
import type { FastifyRequest } from 'fastify';
import type { DefaultState } from 'koa';
import type * as forExpress from '../../src/express.ts';
import type * as forFastify from '../../src/fastify.ts';
import type { VerifiedToken } from '../../src/index.ts';
import type * as forKoa from '../../src/koa.ts';

/** What the compiler says of the token on a request, with the entry of each framework imported. */
type Entries = [typeof forKoa, typeof forExpress, typeof forFastify];
type Same<A, B> = [A, B] extends [B, A] ? (unknown extends A ? false : true) : false;
type OnEach = { koa: DefaultState['token']; express: Request['token']; fastify: FastifyRequest['token'] };

test('a request has a token of its type, or none: a route without a guard does not compile as if it had one', () => {
  const entries: Entries['length'] = 3;
  const same: { [Name in keyof OnEach]: Same<OnEach[Name], VerifiedToken | undefined> } = {
    koa: true,
    express: true,
    fastify: true,
  };
  expect(Object.keys(same)).toHaveLength(entries);
});
