"""Help that belongs to no command: `sealpipe help project`."""

from __future__ import annotations

PROJECT = """\
sealpipe.yaml: what exists and where it is published.

  format: 1
  project: 5b0c7a1e9f2d4c6688aa01d3e7f4b912     random, made by `init`; signed into every release

  environments:                       the order is the order of publishing
    base: {}                          no publish_to: a layer only, never published; no secrets in it
    dev:
      publish_to: file:.sealpipe/store        relative to this file
    production:
      publish_to: file:/srv/config
      mirrors: [file:/mnt/backup/config]      the same signed bytes, written after publish_to
      tree:                           plain keys for programs that read no releases; never a secret in it
        layout: keys                  or yaml: one value a service
        at: file:/srv/plain
        services: [mailer]            default: none
    production-eu:
      extends: production             default for every environment: base
      services: inherit               all services of production, also those without a file here
      publish_to: file:/srv/config-eu

  services:                           only services that need more than files in environments/
    checkout: {layers: [_payments], owners: ["@shop/payments"]}
    mailer: {renamed_from: notifier}

  limits:                             plan refuses beyond these without --allow-removal, --allow-growth
    removed_keys: 30%
    growth: 2x

Layers of dev/checkout, lowest first: environments/base/_all.yaml, base/_payments.yaml, base/checkout.yaml,
dev/_all.yaml, dev/_payments.yaml, dev/checkout.yaml. Maps merge, everything else replaces, null deletes.
Never in this file: credentials. Stores read their own variables; keys are found as `sealpipe doctor` shows.\
"""
