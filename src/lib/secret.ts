import { inspect } from 'node:util';

/** A value that must not reach a log or an answer: every way of printing it gives `[secret]`. */
export type Secret = { readonly reveal: () => string };

/** Wraps `value` so that only `reveal()` gives it back; string, JSON and inspection forms are `[secret]`. */
export const makeSecret = (value: string): Secret =>
  Object.freeze({
    reveal: () => value,
    toString: () => '[secret]',
    toJSON: () => '[secret]',
    [inspect.custom]: () => '[secret]',
  });
