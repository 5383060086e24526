export { guard, protectedResourceMetadata } from './guard/fastify.ts';
export type { GuardOptions } from './guard/guard.ts';
export type { MetadataOptions } from './guard/metadata.ts';
