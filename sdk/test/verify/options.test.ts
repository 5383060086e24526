import { describe, expect, test } from '@jest/globals';
import { createVerifier, type VerifierOptions } from '../../src/index.ts';

const good = { issuer: 'https://id.example.test', audience: 'https://api.example.test' };

describe('createVerifier refuses', () => {
  test.each<[name: string, options: Record<string, unknown>, message: RegExp]>([
    ['no issuer', { issuer: undefined }, /issuer must be the URL/],
    ['an issuer without https', { issuer: 'http://id.example.test' }, /issuer must be an https URL/],
    ['an issuer with a query', { issuer: 'https://id.example.test/?a' }, /no query/],
    ['an issuer with a password', { issuer: 'https://a:b@id.example.test' }, /no credentials/],
    ['no audience', { audience: undefined }, /audience/],
    ['an empty audience', { audience: '' }, /audience/],
    ['an empty list of audiences', { audience: [] }, /audience/],
    ['a list with something else in it', { audience: ['a', 1] }, /audience/],
    ['none', { algorithms: ['none'] }, /algorithms cannot hold none/],
    ['HS256', { algorithms: ['ES256', 'HS256'] }, /algorithms cannot hold HS256/],
    ['a name of Object', { algorithms: ['constructor'] }, /algorithms cannot hold constructor/],
    ['no algorithm', { algorithms: [] }, /algorithms must be a list/],
    ['symmetric proofs', { proofAlgorithms: ['HS256'] }, /proofAlgorithms cannot hold HS256/],
    ['a tolerance below zero', { tolerance: -1 }, /tolerance must be a number from 0 to 300/],
    ['a tolerance in milliseconds', { tolerance: 15_000 }, /tolerance must be a number from 0 to 300/],
    ['a tolerance that is no number', { tolerance: Number.NaN }, /tolerance/],
    ['a cache as text', { cacheSize: '10' }, /cacheSize/],
    ['a hook that is no function', { isRevoked: true }, /isRevoked must be a function/],
    ['a misspelt option', { isRevokd: () => true }, /no option isRevokd/],
  ])('%s', (_, change, message) => {
    const options = { ...good, ...change } as unknown as VerifierOptions;
    expect(() => createVerifier(options)).toThrow(message);
    expect(() => createVerifier(options)).toThrow(TypeError);
  });
});

test('an issuer may be http on this machine', () => {
  for (const host of ['localhost', '127.0.0.1:3000', '[::1]:3000', 'id.localhost']) {
    expect(createVerifier({ ...good, issuer: `http://${host}` })).toMatchObject({ issuer: `http://${host}` });
  }
  for (const host of ['localhost.evil.test', '127.0.0.1.evil.test', '10.0.0.1']) {
    expect(() => createVerifier({ ...good, issuer: `http://${host}` })).toThrow(TypeError);
  }
});
