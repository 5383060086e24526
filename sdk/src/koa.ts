export type { GuardOptions } from './guard/guard.ts';
export { guard, protectedResourceMetadata } from './guard/koa.ts';
export type { MetadataOptions } from './guard/metadata.ts';
