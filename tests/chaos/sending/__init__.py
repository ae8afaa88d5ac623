"""The ledger of messages under fire: workers are killed during HTTP, and a provider that fails keeps the true list."""
