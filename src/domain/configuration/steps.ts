import { putResourceServer } from '#src/domain/resource-servers/resource-servers.ts';
import { createTenant, updateTenant } from '#src/domain/tenants/tenants.ts';
import { putRole } from '#src/domain/users/roles.ts';
import { describeChange, type Step } from './change.ts';
import { planClient } from './client-step.ts';
import type { Section } from './sections.ts';
import type { TenantState } from './state.ts';
import { type PasswordChanges, planUser } from './user-step.ts';

/** What a section changes, in the order in which it must happen. Changes nothing itself. */
export function planSection(
  section: Section,
  state: TenantState,
  { passwords, now }: { passwords: PasswordChanges; now: Date },
): Step[] {
  const steps = [
    ...(section.tenant ? [planTenant(section, section.tenant, state)] : []),
    ...section.domains.map((domain) => planDomain(domain, state)),
    ...section.resources.map((resource) => planResource(resource, state)),
    ...section.roles.map((role) => planRole(role, state)),
    ...section.users.map((user) => planUser(user, state.users.get(user.email), passwords.get(user.email))),
    ...section.clients.map((client) =>
      planClient(client, state.clients.get(client.client_id), { shared: section.tenant === undefined, now }),
    ),
  ];
  return section.tenant
    ? steps.map((step) => ({ ...step, change: { ...step.change, tenant: section.slug } }))
    : steps;
}

function planTenant(
  section: Section,
  tenant: NonNullable<Section['tenant']>,
  { tenant: stored }: TenantState,
): Step {
  const { slug } = section;
  const { status } = tenant;
  const name = tenant.name ?? stored?.name ?? slug;
  const settings = { ...stored?.settings, ...tenant.settings };
  return {
    change: describeChange('tenant', slug, { stored, wanted: { name, status, settings } }),
    async perform(tx) {
      if (stored === undefined) {
        await createTenant(tx, { slug, name, settings });
      }
      await updateTenant(tx, { name, settings, ...(status === undefined ? {} : { status }) });
    },
  };
}

function planDomain(domain: string, { domains }: TenantState): Step {
  const stored = domains.has(domain) ? {} : undefined;
  return {
    change: describeChange('domain', domain, { stored, wanted: {} }),
    async perform(tx) {
      await tx.insertInto('tenant_domains').values({ domain }).execute();
    },
  };
}

function planResource(
  { identifier, name = identifier, scopes }: Section['resources'][number],
  { resources }: TenantState,
): Step {
  return {
    change: describeChange('resource', identifier, {
      stored: resources.get(identifier),
      wanted: { name, scopes },
    }),
    perform: (tx) => putResourceServer(tx, { identifier, name, scopes }),
  };
}

function planRole({ name, permissions }: Section['roles'][number], { roles }: TenantState): Step {
  return {
    change: describeChange('role', name, { stored: roles.get(name), wanted: { permissions } }),
    perform: (tx) => putRole(tx, { name, permissions }),
  };
}
