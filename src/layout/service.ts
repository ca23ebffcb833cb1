// Policy and identity, apart (DESIGN.md, tables): a service row holds what a service may do; a credential record says
// who somebody is and which row that is; a target record says where a service or an inbound leads. The control thread
// writes, workers read in place.

import { atomic, defineRecords, i32, words } from '../memory/records.ts';

export const SERVICE_ENABLED = 1;

export const serviceType = defineRecords('Service', {
  /** Odd while the row is a service; grows by one when it becomes one and when it ceases to be. */
  generation: atomic,
  /** SERVICE_*. */
  flags: atomic,
  /** Outbound of the service, or -1: `final` decides. */
  outbound: atomic,
  /** Target of its server names, or -1. */
  target: atomic,
  /**
   * Networks that its clients may come from: where the block begins in the table of networks (its first word is the number
   * of prefixes, then layout/network-set.ts); 0: every source.
   */
  sources: atomic,
  /** Bits of an address that tell its clients apart, on each family's own scale; 0: all of IPv4, 64 of IPv6. */
  prefixBits4: atomic,
  prefixBits6: atomic,
  /** Keyed hash of the name (RULE_SERVICE_KEY): what rules know it by. */
  nameHash: words(2),
});

export type ServiceTable = ReturnType<typeof serviceType.attach>;

// How a credential is verified.
export const CREDENTIAL_PLAIN = 1;
/** Only the hash is known: the control thread must judge the first try. */
export const CREDENTIAL_HASHED = 2;

export const credentialType = defineRecords('Credential', {
  /** Odd while it is a credential; as in the service row. */
  generation: atomic,
  service: atomic,
  /** CREDENTIAL_*. */
  kind: atomic,
  /** 1 where `proof` is valid: always for plain ones, for hashed ones after the first success. */
  proven: atomic,
  /** Keyed hash of the password (siphash.ts): the password itself is nowhere in shared memory. */
  proof: words(4),
  /** Keyed hash of the user name (RULE_USER_KEY): what rules know it by. */
  nameHash: words(2),
});

export type CredentialTable = ReturnType<typeof credentialType.attach>;

export const TARGET_IP = 1;
export const TARGET_NAME = 2;
export const TARGET_UNIX = 3;
/** 255 bytes of a name (RFC 1035) or 107 of a Unix path, in words. */
export const TARGET_TEXT_WORDS = 64;

export const targetType = defineRecords('Target', {
  generation: atomic,
  /** TARGET_*. */
  kind: i32,
  port: i32,
  address: words(4),
  textBytes: i32,
  text: words(TARGET_TEXT_WORDS),
});

export type TargetTable = ReturnType<typeof targetType.attach>;
