import type Provider from 'oidc-provider';
import { matchesClientSecret } from '#src/domain/clients/client-secrets.ts';
import { decodeSecrets } from './client-metadata.ts';

/**
 * The one place where a method of the library is replaced (decision 14): secrets are stored as hashes, several may live at
 * once, so comparing is ours. The library awaits the result; a test fails when it stops asking.
 */
export function useHashedClientSecrets(provider: Provider, now: () => Date): void {
  const prototype = provider.Client.prototype as unknown as {
    clientSecret: string;
    compareClientSecret(given: string): boolean;
  };
  prototype.compareClientSecret = function compareClientSecret(given) {
    return matchesClientSecret(given, decodeSecrets(this.clientSecret), now());
  };
}
