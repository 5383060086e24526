/** Undoes what global-setup did. Jest takes only a default export here. */
export default async function tearDown(): Promise<void> {
  await globalThis.tesseraTestTeardown?.();
}
