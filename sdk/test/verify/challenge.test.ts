import { expect, test } from '@jest/globals';
import { challenge, TokenError } from '../../src/index.ts';

const options = {
  proofAlgorithms: ['ES256', 'PS256'],
  resourceMetadata: 'https://api.example.test/.well-known/x',
};
const metadata = `resource_metadata="${options.resourceMetadata}"`;

test('no token: each scheme, and no error [RFC 6750 3.1]', () => {
  const error = new TokenError('missing_token', 'An access token is required');
  expect(challenge(error)).toEqual(['Bearer']);
  expect(challenge(error, options)).toEqual([`Bearer ${metadata}`, `DPoP algs="ES256 PS256", ${metadata}`]);
});

test('the error stands with the scheme that was used [RFC 6750 3, RFC 9449 7.1]', () => {
  const error = new TokenError('expired', 'The token has expired');
  const said = 'error="invalid_token", error_description="The token has expired"';
  expect(challenge(error)).toEqual([`Bearer ${said}`]);
  expect(challenge(error, options)).toEqual([
    `Bearer ${said}, ${metadata}`,
    `DPoP algs="ES256 PS256", ${metadata}`,
  ]);
  expect(challenge(error, { ...options, scheme: 'dpop' })).toEqual([
    `Bearer ${metadata}`,
    `DPoP ${said}, algs="ES256 PS256", ${metadata}`,
  ]);
});

test('what is wrong with a proof stands with DPoP', () => {
  for (const code of ['proof_required', 'proof_invalid', 'proof_replayed'] as const) {
    const [bearer, dpop] = challenge(new TokenError(code, 'x'), options);
    expect(bearer).not.toContain('error');
    expect(dpop).toContain(
      code === 'proof_required' ? 'error="invalid_token"' : 'error="invalid_dpop_proof"',
    );
  }
});

test('only insufficient_scope names scopes', () => {
  const scope = ['read', 'write'];
  const missing = new TokenError('insufficient_scope', 'x');
  expect(challenge(missing, { scope })).toEqual([
    'Bearer error="insufficient_scope", error_description="x", scope="read write"',
  ]);
  expect(challenge(missing, { scope: 'read write' })[0]).toContain('scope="read write"');
  expect(challenge(new TokenError('expired', 'x'), { scope })[0]).not.toContain('scope=');
});

test('a 503 challenges nobody', () => {
  expect(challenge(new TokenError('keys_unavailable', 'x'), options)).toEqual([]);
});

test('nothing gets out of its quotation marks or off its line', () => {
  const error = new TokenError('expired', 'a", realm="b\\"\r\nSet-Cookie: c=d\u2028é');
  expect(challenge(error)).toEqual([
    'Bearer error="invalid_token", error_description="a, realm=bSet-Cookie: c=d"',
  ]);
});
