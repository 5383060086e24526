import { STATUS_CODES } from 'node:http';
import type { Context, Middleware, Next } from 'koa';
import { TokenError } from '#tessera/rls';
import { DatabaseUnavailableError } from '#tessera/rls/pg';

type ProblemOptions = { detail?: string; cause?: unknown };

/** An answer other than success: HTTP status and stable `code`. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string | undefined;

  constructor(status: number, code: string, { detail, cause }: ProblemOptions = {}) {
    super(detail ?? code, { cause });
    this.status = status;
    this.code = code;
    this.detail = detail;
  }
}

/**
 * Outermost middleware: whatever fails below is answered as application/problem+json (RFC 9457), but for what the
 * guard has refused in its own words. Causes of 5xx go to `onError`; the caller learns only the code.
 */
export function answerProblems(onError: (error: unknown) => void): Middleware {
  return async (ctx, next) => {
    const problem = await findProblem(ctx, next);
    if (!problem) return;
    if (problem.status >= 500) onError(problem.cause ?? problem);
    ctx.status = problem.status;
    ctx.body = {
      title: STATUS_CODES[problem.status],
      status: problem.status,
      code: problem.code,
      detail: problem.detail,
    };
    ctx.type = 'application/problem+json';
  };
}

async function findProblem(ctx: Context, next: Next): Promise<Problem | undefined> {
  try {
    await next();
  } catch (error) {
    return asProblem(error);
  }
  if (ctx.status < 400 || ctx.body) return undefined;
  // The router answers an unknown path or method with a bare status.
  return new Problem(ctx.status, ctx.status === 404 ? 'not_found' : 'method_not_allowed');
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  // The token expired between the guard and the transaction.
  if (error instanceof TokenError) return new Problem(error.status, error.code);
  if (error instanceof DatabaseUnavailableError) {
    return new Problem(503, 'database_unavailable', { cause: error });
  }
  return new Problem(500, 'internal_error', { cause: error });
}
