/** Why nothing more of a file is imported: it cannot be used, or another import of the same tenant is under way. */
export type ImportErrorCode = 'invalid' | 'busy';

/** Thrown with a sentence for whoever runs the import; it repeats nothing of the file but names of fields. */
export class ImportError extends Error {
  override readonly name = 'ImportError';
  readonly code: ImportErrorCode;

  constructor(code: ImportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
