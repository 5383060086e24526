import { createPublicKey, type JsonWebKey } from 'node:crypto';
import { z } from 'zod';
import { isReservedClientId } from '#src/domain/clients/built-in-clients.ts';
import { parseCidr } from '#src/lib/client-ip.ts';
import { duration, label, mustHold } from './rules.ts';
import { findRedirectUriFlaw, findUriFlaw, findWebUriFlaw } from './uris.ts';

const grantTypes = ['authorization_code', 'refresh_token', 'client_credentials'] as const;
const authMethods = ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'] as const;
const signingAlgs = ['RS256', 'ES256', 'PS256', 'EdDSA'] as const;

/** RFC 6749 section 3.3. */
export const scope = z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]{1,128}$/, { error: 'is not a scope' });

export const identifier = z.string().check(mustHold(findUriFlaw));
const redirectUri = z.string().check(mustHold(findRedirectUriFlaw));
const webUri = z.string().check(mustHold(findWebUriFlaw));

const client_id = z.string().check(
  mustHold((text) => {
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/.test(text)) {
      return 'must be of 1 to 128 letters, digits, dots, dashes and underscores, the first a letter or digit';
    }
    if (isReservedClientId(text)) {
      return 'must not begin with tessera-, which is kept for clients of the product itself';
    }
    // RFC 9700 section 4.15: no client may pose as a user.
    return /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text)
      ? 'must not be a UUID, which is the form of user ids'
      : undefined;
  }),
);

const client_secret = z.string().check(
  mustHold((text) => {
    if (text.length < 16) {
      return 'has fewer than 16 characters, which can be guessed: leave it out, and a strong one is made and shown once';
    }
    return /^[\x20-\x7e]{16,1024}$/.test(text)
      ? undefined
      : 'must be of at most 1,024 printable ASCII characters (RFC 6749 appendix A.2)';
  }),
);

const jwks = z.strictObject({
  keys: z
    .array(z.record(z.string(), z.unknown()).check(mustHold(findKeyFlaw)))
    .min(1)
    .max(20),
});

const clientShape = {
  client_id,
  client_name: label.optional(),
  client_secret: client_secret.optional(),
  /** How long the secrets before a changed one go on. */
  client_secret_overlap: duration.default('PT24H'),
  status: z.enum(['active', 'disabled']).optional(),
  redirect_uris: z.array(redirectUri).default([]),
  post_logout_redirect_uris: z.array(redirectUri).default([]),
  grant_types: z.array(z.enum(grantTypes)).min(1).default(['authorization_code']),
  response_modes: z
    .array(z.enum(['query', 'form_post', 'fragment']))
    .min(1)
    .default(['query', 'form_post']),
  token_endpoint_auth_method: z.enum(authMethods).default('client_secret_basic'),
  id_token_signed_response_alg: z.enum(signingAlgs).default('RS256'),
  jwks: jwks.optional(),
  jwks_uri: webUri.optional(),
  client_uri: webUri.optional(),
  resources: z.array(z.strictObject({ identifier, scopes: z.array(scope).default([]) })).default([]),
  first_party: z.boolean().default(false),
  require_pkce: z.boolean().default(true),
  require_pushed_authorization_requests: z.boolean().default(false),
  dpop_bound_access_tokens: z.boolean().default(false),
  allowed_ips: z
    .array(
      z
        .string()
        .refine((text) => parseCidr(text), { error: 'is not an address or network such as 203.0.113.0/24' }),
    )
    .default([]),
};

/** A client of one tenant, in the names of RFC 7591. What is left out takes its default, also on a client that exists. */
export const clientSchema = z.strictObject(clientShape).superRefine(checkClient);

/** A client of the platform, which serves users of all tenants, or of those in `allowed_tenants` (slugs). */
export const sharedClientSchema = z
  .strictObject({ ...clientShape, allowed_tenants: z.array(z.string()).min(1).optional() })
  .superRefine(checkClient);

export type ConfiguredClient = z.output<typeof clientSchema> & { allowed_tenants?: string[] | undefined };

/** Whether the client proves itself with a secret. */
export function usesSecret({
  token_endpoint_auth_method,
}: Pick<ConfiguredClient, 'token_endpoint_auth_method'>): boolean {
  return token_endpoint_auth_method.startsWith('client_secret_');
}

function checkClient(client: ConfiguredClient, context: z.RefinementCtx) {
  for (const { field, wrong, message } of findClientProblems(client)) {
    if (wrong) {
      context.addIssue({ code: 'custom', path: [field], message });
    }
  }
}

function findClientProblems(
  client: ConfiguredClient,
): { field: keyof ConfiguredClient; wrong: boolean; message: string }[] {
  const { grant_types, jwks, jwks_uri, redirect_uris, token_endpoint_auth_method } = client;
  const isPublic = token_endpoint_auth_method === 'none';
  const interactive = grant_types.includes('authorization_code');
  return [
    {
      field: 'grant_types',
      wrong: isPublic && grant_types.includes('client_credentials'),
      message: 'must not hold client_credentials for a public client: it has nothing to prove itself with',
    },
    {
      field: 'grant_types',
      wrong: grant_types.includes('refresh_token') && !interactive,
      message: 'must hold authorization_code where it holds refresh_token',
    },
    {
      field: 'redirect_uris',
      wrong: interactive && redirect_uris.length === 0,
      message: 'must hold at least one address for authorization_code',
    },
    {
      field: 'require_pkce',
      wrong: isPublic && !client.require_pkce,
      message: 'must be true for a public client',
    },
    {
      field: 'client_secret',
      wrong: client.client_secret !== undefined && !usesSecret(client),
      message: `has no use with token_endpoint_auth_method ${token_endpoint_auth_method}`,
    },
    {
      field: 'jwks',
      wrong: jwks !== undefined && jwks_uri !== undefined,
      message: 'must not be given together with jwks_uri (RFC 7591 section 2)',
    },
    {
      field: 'jwks',
      wrong: token_endpoint_auth_method === 'private_key_jwt' && jwks === undefined && jwks_uri === undefined,
      message: 'or jwks_uri is needed for private_key_jwt',
    },
  ];
}

function findKeyFlaw(key: Record<string, unknown>): string | undefined {
  if (['d', 'p', 'q', 'k'].some((member) => member in key)) {
    return 'is a private or symmetric key: give the public part only';
  }
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: key as JsonWebKey, format: 'jwk' });
    return (asymmetricKeyDetails?.modulusLength ?? 2048) < 2048
      ? 'is an RSA key of less than 2048 bits'
      : undefined;
  } catch {
    return 'is not a public key as a JWK';
  }
}
