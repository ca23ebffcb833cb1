// From the text of a configuration to its checked form, or to all of its mistakes at once, in the order of the file:
//
//   text → document (positions) → shape (schema) → parts (units, addresses) → references → configuration
//
// Each step goes on with what the one before left standing. Nothing here reads files, resolves names or looks at the
// machine: the same text always gets the same answer. Never throws, whatever the text. Control thread and CLI.

import { dirname, resolve } from 'node:path';
import { parseDuration } from '../policy/units.ts';
import { readAccessLog } from './access-log.ts';
import { parseListen, parseSocketPath } from './addresses.ts';
import type { Admin, Configuration, Inbound, Listen, Outbound, Service, Timeouts } from './configuration.ts';
import { readDocument } from './document.ts';
import { findTargetLoops, readInbound } from './inbounds.ts';
import { type Mistake, MISTAKES_MAX, restOf } from './mistakes.ts';
import { notEnforced } from './not-enforced.ts';
import { IMPLICIT_DIRECT, readOutbound } from './outbounds.ts';
import { type Reading, read } from './reading.ts';
import { checkListenAddresses, checkReferences } from './references.ts';
import { complainedRules, type RuleChecker, ruleNames } from './rule-checker.ts';
import { readGeo, readRuleSets } from './rule-sets.ts';
import { DEFAULTS, type WrittenConfiguration } from './schema.ts';
import { readService } from './services.ts';
import { checkShape, type Partly } from './shape.ts';

export interface Checked {
  /** Present exactly when there are no mistakes. */
  readonly configuration?: Configuration;
  readonly mistakes: readonly Mistake[];
  readonly warnings: readonly Mistake[];
}

/** Deadlines are counted in 31 bits of milliseconds on the workers' wheels. */
const TIMEOUT_MS = { min: 1, max: 24 * 24 * 3_600_000 };

type Written = Partly<WrittenConfiguration>;

/**
 * @param fileName where the text comes from; relative paths in it start from its directory
 * @param checkRules tells what is wrong with the rules beyond their shape; without it nobody does
 */
export function checkConfiguration(text: string, fileName: string, checkRules?: RuleChecker): Checked {
  const document = readDocument(text);
  const baseDirectory = dirname(resolve(fileName));
  const reading: Reading = { mistakes: [], untold: 0, warnings: [], baseDirectory };
  let configuration: Configuration | undefined;
  if (document.value !== undefined) {
    const { written, complaints, untold } = checkShape(document.value);
    for (const complaint of complaints) reading.mistakes.push(complaint);
    reading.untold += untold;
    const complained = complainedRules(complaints);
    configuration = readConfiguration(reading, written, resolve(fileName), complained, checkRules);
  }
  const told = document.locate(reading.mistakes.slice(0, MISTAKES_MAX));
  const untold = reading.untold + reading.mistakes.length - told.length;
  const mistakes = withRest(inOrder([...document.mistakes, ...told]), untold);
  const warnings = inOrder(document.locate(reading.warnings.slice(0, MISTAKES_MAX)));
  if (mistakes.length > 0 || configuration === undefined) return { mistakes, warnings };
  return { configuration, mistakes, warnings };
}

/** What it answers is whole only if nobody complained. */
function readConfiguration(
  reading: Reading,
  written: Written,
  fileName: string,
  complained: ReadonlySet<number>,
  checkRules: RuleChecker | undefined,
): Configuration {
  const services = readServices(reading, written);
  const inbounds = (written.inbounds ?? []).map((inbound, index) =>
    readInbound(reading, inbound, index, services),
  );
  const outbounds = (written.outbounds ?? []).map((outbound, index) =>
    readOutbound(reading, outbound, index),
  );
  const storePath = resolve(reading.baseDirectory, written.store ?? DEFAULTS.store);
  const admin = readAdmin(reading, written, dirname(storePath));
  const names = checkReferences(reading, written);
  checkListenAddresses(reading, inbounds);
  checkAdminAddresses(reading, admin, inbounds);
  findTargetLoops(reading, inbounds);
  const judged = checkRules?.(written.rules ?? [], ruleNames(names, written), complained);
  for (const mistake of judged?.mistakes ?? []) reading.mistakes.push(mistake);
  reading.untold += judged?.untold ?? 0;
  for (const warning of notEnforced(written)) reading.warnings.push(warning);
  for (const warning of judged?.warnings ?? []) reading.warnings.push(warning);

  const usable: Outbound[] = outbounds.filter((outbound) => outbound !== undefined);
  if (usable.length === 0) usable.push(IMPLICIT_DIRECT);
  return {
    fileName,
    workers: written.workers ?? DEFAULTS.workers,
    admin,
    storePath,
    timeouts: readTimeouts(reading, written.timeouts),
    log: { level: written.log?.level ?? DEFAULTS.logLevel },
    accessLog: readAccessLog(reading, written.access_log),
    limits: { connectionsPerWorker: written.limits?.connections_per_worker ?? DEFAULTS.connectionsPerWorker },
    inbounds: inbounds.filter((inbound) => inbound !== undefined),
    outbounds: usable,
    services: [...services.values()],
    ruleSets: readRuleSets(reading, written.rule_sets),
    rules: (written.rules ?? []).map((rule) => ({ ...rule })),
    geo: readGeo(reading, written.geo),
    final: written.final ?? finalByDefault(usable),
  };
}

function finalByDefault(outbounds: readonly Outbound[]): string {
  const direct = outbounds.find((outbound) => outbound.tag === 'direct');
  return (direct ?? outbounds[0] ?? IMPLICIT_DIRECT).tag;
}

function readServices(reading: Reading, written: Written): Map<string, Service> {
  const services = new Map<string, Service>();
  for (const [index, one] of (written.services ?? []).entries()) {
    const service = readService(reading, one, index);
    // The second of two with one name is a mistake elsewhere; the first keeps the name.
    if (service !== undefined && !services.has(service.name)) services.set(service.name, service);
  }
  return services;
}

function readTimeouts(reading: Reading, written: Written['timeouts']): Timeouts {
  const ms = (key: keyof typeof DEFAULTS.timeouts): number => {
    const text = written?.[key] ?? DEFAULTS.timeouts[key];
    return read(reading, ['timeouts', key], text, (one) => parseDuration(one, TIMEOUT_MS)) ?? 0;
  };
  return {
    handshakeMs: ms('handshake'),
    connectMs: ms('connect'),
    idleMs: ms('idle'),
    halfCloseMs: ms('half_close'),
    drainMs: ms('drain'),
  };
}

function readAdmin(reading: Reading, written: Written, storeDirectory: string): Admin {
  const { baseDirectory } = reading;
  const admin = typeof written.admin === 'object' && written.admin !== null ? written.admin : {};
  const listen: Listen | undefined = read(reading, ['admin', 'listen'], admin.listen, (text) => {
    const parsed = parseListen(text, baseDirectory);
    if (!('kind' in parsed) || parsed.kind === 'ip') return parsed;
    return { expected: 'address:port', wrong: 'is a Unix socket; its key is `socket`' };
  });
  const socket = read(
    reading,
    admin.socket === undefined ? ['store'] : ['admin', 'socket'],
    admin.socket ?? DEFAULTS.adminSocket,
    (text) => parseSocketPath(text, admin.socket === undefined ? storeDirectory : baseDirectory),
  );
  return {
    listen: listen?.kind === 'ip' ? listen : undefined,
    tokenFile: resolve(baseDirectory, admin.token_file ?? DEFAULTS.tokenFile),
    socketPath: socket?.path ?? '',
  };
}

/** An inbound where the admin API listens would take turns with it. */
function checkAdminAddresses(
  reading: Reading,
  admin: Admin,
  inbounds: readonly (Inbound | undefined)[],
): void {
  for (const [index, inbound] of inbounds.entries()) {
    if (inbound === undefined || inbound.network !== 'tcp') continue;
    const { listen } = inbound;
    const isTaken =
      listen.kind === 'unix'
        ? listen.path === admin.socketPath
        : listen.port !== 0 && listen.text === admin.listen?.text;
    if (!isTaken) continue;
    const message = `listen address "${listen.text}" is already used by the admin API`;
    const path = ['inbounds', index, 'listen'];
    reading.mistakes.push({ path, found: `"${listen.text}"`, expected: 'one that is not used yet', message });
  }
}

/** Where the last one is that is told. */
function withRest(told: readonly Mistake[], untold: number): readonly Mistake[] {
  const last = told.at(-1);
  if (last === undefined || untold === 0) return told;
  return [...told, { ...restOf(untold), path: '', line: last.line, column: last.column }];
}

function inOrder(mistakes: readonly Mistake[]): Mistake[] {
  return [...mistakes].sort((a, b) => a.line - b.line || a.column - b.column);
}
