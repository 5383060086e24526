import { STATUS_CODES } from 'node:http';
import type { Context, Middleware, Next } from 'koa';
import { DatabaseUnavailable } from './tenant.ts';

type ProblemOptions = { detail?: string; challenge?: string; cause?: unknown };

/** An answer other than success: HTTP status, stable `code`, and for 401/403 a WWW-Authenticate challenge. */
export class Problem extends Error {
  readonly status: number;
  readonly code: string;
  readonly detail: string | undefined;
  readonly challenge: string | undefined;

  constructor(status: number, code: string, { detail, challenge, cause }: ProblemOptions = {}) {
    super(detail ?? code, { cause });
    this.status = status;
    this.code = code;
    this.detail = detail;
    this.challenge = challenge;
  }
}

/**
 * Outermost middleware: whatever fails below is answered as application/problem+json (RFC 9457).
 * Causes of 5xx go to `onError`; the caller learns only the code.
 */
export function answerProblems(onError: (error: unknown) => void): Middleware {
  return async (ctx, next) => {
    const problem = await findProblem(ctx, next);
    if (!problem) return;
    if (problem.status >= 500) onError(problem.cause ?? problem);
    if (problem.challenge) ctx.set('www-authenticate', problem.challenge);
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
  // The router answers an unknown path or method with a bare status.
  return ctx.status >= 400
    ? new Problem(ctx.status, ctx.status === 404 ? 'not_found' : 'method_not_allowed')
    : undefined;
}

function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof DatabaseUnavailable) return new Problem(503, 'database_unavailable', { cause: error });
  return new Problem(500, 'internal_error', { cause: error });
}
