-- What tenants prescribe for those who have said nothing.
SELECT p.tenant, p.policy, p.category, p.muted, p.channels::text, p."window"::text
FROM unnest(%(tenants)s::text[]) AS wanted (tenant)
JOIN pgsupervise_tenantpreference p ON p.tenant = wanted.tenant
