/**
 * Whether a percent-encoded URL or form body is ASCII whose escapes make up text: UTF-8 without NUL, which neither the database
 * nor a header can hold.
 */
export function isEncodedText(encoded: string): boolean {
  if (/[^\x20-\x7e]/.test(encoded)) {
    return false;
  }
  try {
    return !decodeURIComponent(encoded).includes('\u0000');
  } catch {
    return false;
  }
}
