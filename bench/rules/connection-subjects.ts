// Who looks names and networks up while connections come: Sluice with rule sets, HAProxy with lists, and both without.
//
// HAProxy twice with lists. As its manual writes it, `-m end -f`, which goes through the list entry by entry. And as somebody who
// knows that writes it: the name and each of its ends is looked up in a tree (`-m str -f`), to as many labels as listed names have.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT } from '../checkout.ts';
import { freePort, waitUntilReady } from '../process/ports.ts';
import { haproxy } from '../subjects/haproxy.ts';
import { sluice } from '../subjects/sluice.ts';
import { startProxy } from '../subjects/start.ts';
import type { Running, Setting, Subject } from '../subjects/subject.ts';
import { connectionLists } from './connection-lists.ts';
import { NAME_ENDS } from './names.ts';

const PROGRAM = '/usr/sbin/haproxy';
const SLUICE = join(CHECKOUT, 'bin/sluice');
const CONNECTIONS_MAX = 9900;
/** Ends of a name that are looked up: listed names have up to five labels (a.b.c.co.uk), comers one more. */
const ENDS_LOOKED_UP = 5;

type Lists = 'none' | 'end' | 'tree';

async function startSluice(setting: Setting, hasRules: boolean): Promise<Running> {
  const port = await freePort();
  const adminPort = await freePort();
  const file = join(setting.directory, 'sluice.json');
  if (hasRules) writeLists(setting);
  const sets = {
    rule_sets: [
      { tag: 'names', path: 'names.txt', format: 'domains' },
      { tag: 'sources', path: 'sources.json', format: 'source' },
    ],
    rules: [
      { rule_set: 'sources', action: 'reject', method: 'reset' },
      { rule_set: 'names', action: 'reject', method: 'reset' },
    ],
  };
  const configuration = {
    workers: 1,
    admin: { listen: `127.0.0.1:${adminPort}`, token_file: join(setting.directory, 'admin.token') },
    store: join(setting.directory, 'sluice.db'),
    timeouts: { idle: '1h' },
    inbounds: [{ tag: 'tls', type: 'sni', listen: `127.0.0.1:${port}` }],
    outbounds: [{ tag: 'direct', type: 'direct', allow_destinations: ['127.0.0.0/8'] }],
    services: [
      {
        name: 'everybody',
        server_names: NAME_ENDS.map((end) => `*.${end}`),
        target: `127.0.0.1:${setting.target}`,
      },
    ],
    ...(hasRules ? sets : {}),
  };
  writeFileSync(file, JSON.stringify(configuration));
  return startProxy(setting, port, [SLUICE, 'run', '-c', file], (child) =>
    waitUntilReady(`http://127.0.0.1:${adminPort}/readyz`, child),
  );
}

function writeLists(setting: Setting): void {
  const { names, networks } = connectionLists(setting.reference);
  const put = (name: string, text: string) => writeFileSync(join(setting.directory, name), text);
  put('names.txt', names.map((name) => `+.${name}\n`).join(''));
  put('sources.json', JSON.stringify({ version: 3, rules: [{ source_ip_cidr: networks }] }));
  put('names.lst', names.map((name) => `${name}\n`).join(''));
  put('ends.lst', names.map((name) => `.${name}\n`).join(''));
  put('networks.lst', networks.map((network) => `${network}\n`).join(''));
}

async function startHaproxy(setting: Setting, lists: Lists): Promise<Running> {
  const port = await freePort();
  const file = join(setting.directory, 'haproxy.cfg');
  if (lists !== 'none') writeLists(setting);
  const inFile = (name: string) => join(setting.directory, name);
  const name = 'req.ssl_sni,lower';
  const acls =
    lists === 'none'
      ? []
      : [
          `acl listed src -f ${inFile('networks.lst')}`,
          `acl listed ${name} -m str -f ${inFile('names.lst')}`,
          ...(lists === 'end'
            ? [`acl listed ${name} -m end -f ${inFile('ends.lst')}`]
            : Array.from(
                { length: ENDS_LOOKED_UP - 1 },
                (_, end) => `acl listed ${name},field(${end + 2},.,0) -m str -f ${inFile('names.lst')}`,
              )),
          'tcp-request content reject if listed',
        ];
  writeFileSync(
    file,
    `global
  nbthread 1
  maxconn ${CONNECTIONS_MAX}
defaults
  mode tcp
  maxconn ${CONNECTIONS_MAX}
  timeout connect 10s
  timeout client 1h
  timeout server 1h
listen bench
  bind 127.0.0.1:${port} backlog 4096
  tcp-request inspect-delay 10s
  ${[...acls, 'tcp-request content accept if { req.ssl_hello_type 1 }'].join('\n  ')}
  server origin 127.0.0.1:${setting.target}
`,
  );
  return startProxy(setting, port, [PROGRAM, '-db', '-f', file]);
}

function sluiceSubject(name: string, hasRules: boolean): Subject {
  return { ...sluice, name, start: (setting) => startSluice(setting, hasRules) };
}

function haproxySubject(name: string, lists: Lists): Subject {
  return { ...haproxy(name, false), start: (setting) => startHaproxy(setting, lists) };
}

/** Subjects by whether they refuse who is listed. */
export const WITH_LISTS = ['rules', 'haproxy-tree', 'haproxy-tree-again', 'haproxy-end'] as const;
export const WITHOUT_LISTS = ['no-rules', 'haproxy-no-lists'] as const;

export const CONNECTION_SUBJECTS: readonly Subject[] = [
  sluiceSubject('rules', true),
  sluiceSubject('no-rules', false),
  haproxySubject('haproxy-tree', 'tree'),
  haproxySubject('haproxy-tree-again', 'tree'),
  haproxySubject('haproxy-end', 'end'),
  haproxySubject('haproxy-no-lists', 'none'),
];
