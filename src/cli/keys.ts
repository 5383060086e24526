import { withTenant } from '#src/database/tenant.ts';
import { ensureSigningKeys, type Rotation, rotateSigningKeys } from '#src/domain/keys/signing-keys.ts';
import { platformTenantId } from '#src/domain/tenants/platform.ts';
import type { Paint } from '#src/lib/paint.ts';
import type { Services } from '#src/services.ts';
import { alignColumns, type Outcome } from './outcome.ts';

/** `tessera keys rotate`: plans the change of the signing keys, or with `atOnce` makes it now. */
export async function rotateKeys(
  { config: { masterKeys }, db, now }: Pick<Services, 'config' | 'db' | 'now'>,
  { atOnce }: { atOnce: boolean },
): Promise<Outcome> {
  const at = now();
  const rotations = await withTenant(db, platformTenantId, async (tx) => {
    await ensureSigningKeys(tx, masterKeys, at);
    return rotateSigningKeys(tx, masterKeys, { now: at, at_once: atOnce });
  });
  return { ok: true, document: { ok: true, rotations }, text: (paint) => presentRotations(rotations, paint) };
}

function presentRotations(rotations: Rotation[], paint: Paint): string {
  const lines = alignColumns(
    rotations.map(({ alg, kid, active_from, planned_now }) => [
      alg,
      kid,
      `signs from ${active_from.toISOString()}${planned_now ? '' : ', as planned before'}`,
    ]),
  );
  return lines
    .map((line, index) => `${paint(rotations[index]!.planned_now ? 'green' : 'dim', line)}\n`)
    .join('');
}
