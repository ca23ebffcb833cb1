// The one source of what may be written: JSON Schema for editors, the types of the written form, and (through the API)
// the shape of what clients send. It says which keys exist and of which type they are; what a string must look like
// (units, addresses, names that refer to others) is checked in `normalise.ts` and `references.ts`, which can say more
// than a pattern. `title` is how a mistake names the thing that was expected.

import { type Static, type TSchema, Type } from 'typebox';
import { DATA_RATE_PATTERN, DURATION_PATTERN, EVENT_RATE_PATTERN } from '../policy/units.ts';

/** What holds where nothing is written, in the written form. */
export const DEFAULTS = {
  workers: 'auto',
  store: './sluice.db',
  tokenFile: './admin.token',
  /** Beside the store. */
  adminSocket: 'sluice.sock',
  logLevel: 'info',
  accessLog: { path: './access.log', sample: 1 },
  connectionsPerWorker: 65_536,
  timeouts: { handshake: '10s', connect: '5s', idle: '10m', half_close: '30s', drain: '30s' },
  keepalive: { interval: '15s', count: 4 },
  ipVersion: 'prefer4',
  healthCheckInterval: '5s',
  ruleSetInterval: '1d',
  strategy: 'round_robin',
  devices: {
    per: 'source',
    ipv6_prefix: 64,
    linger: '60s',
    grace: '2s',
    when_full: 'refuse',
    check: 'local',
    on_failure: 'last',
  },
} as const;

/** What the bytes of a rule set may be said to be. */
const RULE_SET_FORMATS = ['source', 'binary', 'domains', 'networks'] as const;

const NAME_LENGTH_MAX = 128;
/** Patterns with this title are checked by the schema; all others belong to a parser that explains itself better. */
export const NAME_TITLE = `a name of 1 to ${NAME_LENGTH_MAX} characters without spaces and control characters`;

/** Names go into logs, tables and terminals as they are. */
const NAME_PATTERN = `^[^\\s\\u0000-\\u001f\\u007f-\\u009f]{1,${NAME_LENGTH_MAX}}$`;

const SECRET_BYTES_MAX = 255;

function closed<Properties extends Record<string, TSchema>>(properties: Properties, options: object = {}) {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

function duration(description: string, byDefault?: string) {
  return Type.String({
    title: 'a duration such as 250ms, 2s, 10m, 1h30m or 1d',
    description,
    pattern: DURATION_PATTERN,
    ...(byDefault === undefined ? {} : { default: byDefault }),
  });
}

function name(description: string) {
  return Type.String({ title: NAME_TITLE, description, pattern: NAME_PATTERN });
}

function text(title: string, description: string, options: object = {}) {
  return Type.String({ title, description, minLength: 1, ...options });
}

function oneOf<Values extends string>(values: readonly Values[], description: string, byDefault?: Values) {
  return Type.Unsafe<Values>({
    type: 'string',
    enum: [...values],
    title: `one of ${values.join(', ')}`,
    description,
    ...(byDefault === undefined ? {} : { default: byDefault }),
  });
}

function prefixes(description: string) {
  return Type.Array(Type.String({ title: 'a network such as 10.0.0.0/8 or 2001:db8::/32' }), {
    title: 'a list of networks',
    description,
  });
}

/** Variants told apart by `type`: Ajv then checks the one that was meant, and says nothing about the others. */
function byType<Variants extends TSchema[]>(title: string, variants: readonly [...Variants]) {
  return Type.Unsafe<Static<Variants[number]>>({
    type: 'object',
    title,
    discriminator: { propertyName: 'type' },
    required: ['type'],
    oneOf: variants,
  });
}

const target = (description: string) =>
  text('host:port, [IPv6]:port or unix:/path', `${description}: host:port, [IPv6]:port or unix:/path.`);

const proxyProtocol = Type.Optional(
  oneOf(['v1', 'v2'], 'PROXY protocol header that the target is sent before the first byte. Default: none.'),
);

const inboundCommon = {
  tag: Type.Optional(
    name('Its name in rules, filters and metrics. Default: the type and its place, such as socks5-0.'),
  ),
  listen: text(
    'address:port, [IPv6]:port, :port or unix:/path',
    'Where to listen: address:port, [IPv6]:port, :port (all addresses) or unix:/path. Port 0 is any free port.',
  ),
  accept_proxy_protocol: Type.Optional(
    prefixes('Connections from these networks must begin with a PROXY header, v1 or v2. Default: none.'),
  ),
};

const proxyService = Type.Optional(
  name(
    'The service of all its connections; then nobody is asked for a password. Default: found by user name and password.',
  ),
);

const askUsers = Type.Optional(
  Type.Boolean({
    default: false,
    description:
      'True asks for user name and password also while nobody has users. Otherwise clients are asked as soon as this ' +
      'file or the API has users, and not again let in without until a restart with none; ' +
      '`service` leaves a proxy open whoever has users. Default: false.',
  }),
);

const INBOUND_VARIANTS = [
  closed({
    type: Type.Literal('socks5', { description: 'SOCKS5 with CONNECT; service by user name and password.' }),
    ...inboundCommon,
    service: proxyService,
    ask_users: askUsers,
  }),
  closed({
    type: Type.Literal('http', { description: 'HTTP proxy: CONNECT and absolute-form requests.' }),
    ...inboundCommon,
    service: proxyService,
    ask_users: askUsers,
  }),
  closed({
    type: Type.Literal('sni', { description: 'TLS, not decrypted; service by server name.' }),
    ...inboundCommon,
    proxy_protocol: proxyProtocol,
  }),
  closed({
    type: Type.Literal('forward', { description: 'Everything goes to one target.' }),
    ...inboundCommon,
    network: Type.Optional(oneOf(['tcp', 'udp'], 'Transport. Default: tcp.', 'tcp')),
    service: Type.Optional(name('The service of all its connections. Default: the service `default`.')),
    target: Type.Optional(target("Where to connect. Default: the service's target")),
    proxy_protocol: proxyProtocol,
  }),
] as const;

const OUTBOUND_VARIANTS = [
  closed({
    type: Type.Literal('direct', { description: 'Connects to the target itself.' }),
    tag: Type.Optional(name('Its name. Default: the type.')),
    bind: Type.Optional(
      Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], {
        title: 'an IP address or a list of them',
        description: 'Local addresses to connect from, taken in turn: each brings its own ports.',
      }),
    ),
    interface: Type.Optional(
      text('the name of a network interface', 'Network interface to leave through (SO_BINDTODEVICE).', {
        maxLength: 15,
      }),
    ),
    fwmark: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 2 ** 32 - 1, description: 'Mark for policy routing (SO_MARK).' }),
    ),
    keepalive: Type.Optional(
      Type.Union(
        [
          Type.String({ pattern: DURATION_PATTERN, description: 'The idle time, in whole seconds.' }),
          closed({
            idle: duration('Silence before the first probe, in whole seconds.'),
            interval: Type.Optional(
              duration('Between probes, in whole seconds.', DEFAULTS.keepalive.interval),
            ),
            count: Type.Optional(
              Type.Integer({
                minimum: 1,
                maximum: 127,
                default: DEFAULTS.keepalive.count,
                description: 'Probes without an answer until the connection is given up.',
              }),
            ),
          }),
        ],
        { title: 'a duration, or idle, interval and count', description: 'TCP keepalive. Default: off.' },
      ),
    ),
    tcp_user_timeout: Type.Optional(
      duration(
        'How long sent bytes may stay unacknowledged (TCP_USER_TIMEOUT). Default: the kernel decides.',
      ),
    ),
    congestion: Type.Optional(
      text('the name of a congestion control', 'Congestion control, such as bbr. Default: of the system.', {
        maxLength: 15,
      }),
    ),
    allow_destinations: Type.Optional(
      prefixes(
        'Special-purpose networks (loopback, private, link-local, ...) that targets chosen by clients may lie in ' +
          'after all. Default: none.',
      ),
    ),
    ip_version: Type.Optional(
      oneOf(
        ['prefer4', 'prefer6', 'only4', 'only6'],
        'Which addresses of a name to use, and which first. Default: prefer4.',
        DEFAULTS.ipVersion,
      ),
    ),
  }),
  closed({
    type: Type.Literal('socks5', { description: 'Connects through a SOCKS5 proxy.' }),
    tag: Type.Optional(name('Its name. Default: the type.')),
    server: target('The proxy'),
    username: Type.Optional(text('a user name', 'User name at the proxy.', { maxLength: SECRET_BYTES_MAX })),
    password: Type.Optional(text('a password', 'Password at the proxy.', { maxLength: SECRET_BYTES_MAX })),
  }),
  closed({
    type: Type.Literal('group', { description: 'Chooses one of its members for each connection.' }),
    tag: Type.Optional(name('Its name. Default: the type.')),
    members: Type.Array(name('The tag of an outbound.'), {
      minItems: 1,
      title: 'a list of outbounds',
      description: 'Tags of outbounds to choose from; groups may hold groups, but no loops.',
    }),
    strategy: Type.Optional(
      oneOf(
        ['round_robin', 'least_connections', 'source_hash', 'first_available', 'lowest_latency'],
        'How a member is chosen. Default: round_robin.',
        DEFAULTS.strategy,
      ),
    ),
    health_check: Type.Optional(
      closed(
        {
          interval: Type.Optional(duration('Between two checks of a member.', DEFAULTS.healthCheckInterval)),
        },
        { description: 'Active checks of the members. Default: none.' },
      ),
    ),
  }),
] as const;

const gate = closed(
  {
    rate: Type.String({
      title: 'a rate of events such as 50/s, 10/m, 100/h or 1000/d',
      pattern: EVENT_RATE_PATTERN,
      description: 'New connections a second, minute, hour or day: 50/s.',
    }),
    burst: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        description: 'How many may come at once. Default: what the rate lets in within a second, at least 1.',
      }),
    ),
  },
  { description: 'How fast new connections are let in. Default: no bound.' },
);

const dataRate = (description: string) =>
  Type.String({
    title: 'a data rate such as 20mbit, 1gbit, 512kB/s, 10MB/s or 10MiB/s',
    pattern: DATA_RATE_PATTERN,
    description,
  });

const rate = closed(
  {
    up: Type.Optional(dataRate('Client to server: 20mbit, 10MB/s. Default: no bound.')),
    down: Type.Optional(dataRate('Server to client: 20mbit, 10MB/s. Default: no bound.')),
  },
  { description: 'Bytes of all its connections together.' },
);

const devices = closed(
  {
    limit: Type.Integer({ minimum: 1, maximum: 1_000_000, description: 'How many devices at a time.' }),
    per: Type.Optional(oneOf(['source', 'user'], 'What a device is. Default: source.', DEFAULTS.devices.per)),
    ipv6_prefix: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 128,
        default: DEFAULTS.devices.ipv6_prefix,
        description: 'How many bits of an IPv6 address tell devices apart.',
      }),
    ),
    linger: Type.Optional(
      duration('How long a device counts after its last connection.', DEFAULTS.devices.linger),
    ),
    grace: Type.Optional(
      duration('How long an unknown device is let in while the judge is asked.', DEFAULTS.devices.grace),
    ),
    when_full: Type.Optional(
      oneOf(
        ['refuse', 'replace_oldest', 'replace_idlest'],
        'What happens to one device too many. Default: refuse.',
        DEFAULTS.devices.when_full,
      ),
    ),
    check: Type.Optional(
      text('local, or an http(s) address', 'Who judges: local, or an http(s) address. Default: local.', {
        default: DEFAULTS.devices.check,
      }),
    ),
    on_failure: Type.Optional(
      oneOf(
        ['allow', 'deny', 'last'],
        'What holds when the judge does not answer. Default: last.',
        DEFAULTS.devices.on_failure,
      ),
    ),
  },
  { description: 'How many devices may use the service. Default: no bound.' },
);

const user = closed({
  username: text('a user name', 'Unique over all services; 1 to 255 bytes.', { maxLength: SECRET_BYTES_MAX }),
  password: text('a password', 'Plain, or $scrypt$ln=14,r=8,p=1$salt$hash.', { maxLength: 1024 }),
});

/** One service, as it is written. */
export const serviceSchema = closed({
  name: name('Unique.'),
  enabled: Type.Optional(Type.Boolean({ default: true, description: 'False refuses it. Default: true.' })),
  users: Type.Optional(Type.Array(user, { title: 'a list of users', description: 'Who belongs to it.' })),
  server_names: Type.Optional(
    Type.Array(Type.String({ title: 'a server name such as www.example.com or *.example.com' }), {
      title: 'a list of server names',
      description: 'TLS server names that belong to it, for sni inbounds; `*.` may stand at the left.',
    }),
  ),
  target: Type.Optional(target('Where its connections go, from sni inbounds and forward inbounds')),
  gate: Type.Optional(gate),
  rate: Type.Optional(rate),
  devices: Type.Optional(devices),
  sources: Type.Optional(
    prefixes('Networks that may use it; clients on Unix sockets have no address and may not. Default: all.'),
  ),
  outbound: Type.Optional(
    name('Tag of the outbound of its connections. Default: what rules and `final` say.'),
  ),
});

const ruleSet = closed({
  tag: name('Its name in rules.'),
  path: Type.Optional(text('a path', 'The file, which is watched. Either this or `url`.')),
  url: Type.Optional(
    text(
      'an https address',
      'Where it is fetched from: https, or http from this machine. Either this or `path`.',
    ),
  ),
  format: Type.Optional(
    oneOf(
      RULE_SET_FORMATS,
      'source, binary: rule sets of sing-box, as JSON or .srs; domains, networks: one a line. ' +
        'Default: by the ending .json or .srs, or for .txt and .list by what stands in it.',
    ),
  ),
  interval: Type.Optional(
    duration('Between two looks at the `url`, at least 60s.', DEFAULTS.ruleSetInterval),
  ),
});

function listOf(description: string) {
  return Type.Optional(
    Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })], {
      title: 'a string or a list of strings',
      description,
    }),
  );
}

function numbersOf(description: string, minimum: number, maximum: number) {
  const number = Type.Integer({ minimum, maximum });
  return Type.Optional(
    Type.Union([number, Type.Array(number, { minItems: 1 })], {
      title: 'a number or a list of numbers',
      description,
    }),
  );
}

const flag = (description: string) => Type.Optional(Type.Boolean({ description }));

const rule = closed({
  id: Type.Optional(
    name(
      'Its name in receipts and filters. Default: made of what it says, and so the same wherever it stands.',
    ),
  ),
  type: Type.Optional(
    oneOf(['default', 'logical'], 'logical: combines `rules` by `mode`. Default: default.', 'default'),
  ),
  mode: Type.Optional(oneOf(['and', 'or'], 'How a logical rule combines its rules.')),
  rules: Type.Optional(
    Type.Array(Type.Unsafe<Record<string, unknown>>({ $ref: '#/definitions/rule' }), {
      minItems: 1,
      title: 'a list of rules',
      description: 'The conditions of a logical rule.',
    }),
  ),
  invert: flag('Matches what it would not.'),
  inbound: listOf('Tags of inbounds.'),
  service: listOf('Names of services.'),
  user: listOf('User names.'),
  network: listOf('tcp, udp.'),
  protocol: listOf(
    'tls, http, quic, ssh, dns. Known from the start on sni inbounds and of absolute-form HTTP requests, ' +
      'else after a rule with the action sniff.',
  ),
  source_ip_cidr: listOf('Networks of the client.'),
  source_ip_is_private: flag('The client has a private address.'),
  source_geoip: listOf('Countries of the client, of two letters; private.'),
  source_port: numbersOf('Ports of the client.', 0, 65_535),
  source_port_range: listOf('Ranges of ports of the client: 1000:2000, :2000 or 3000:.'),
  ip_cidr: listOf('Networks of the target. A name has addresses after a rule with the action resolve.'),
  ip_is_private: flag('The target has a private address.'),
  ip_version: numbersOf('4 or 6: what an address of the target is.', 4, 6),
  geoip: listOf('Countries of the target, of two letters; private.'),
  asn: numbersOf('Autonomous systems of the target.', 1, 2 ** 32 - 1),
  port: numbersOf('Ports of the target.', 0, 65_535),
  port_range: listOf('Ranges of ports of the target: 1000:2000, :2000 or 3000:.'),
  domain: listOf('Whole names of the target.'),
  domain_suffix: listOf(
    'Names of the target with all below them; only those below with a dot before: .example.com.',
  ),
  domain_keyword: listOf('Parts of names of the target.'),
  domain_regex: listOf('Expressions for names of the target, without what takes more than linear time.'),
  process_name: listOf('Programs of local clients.'),
  process_path: listOf('Paths of programs of local clients.'),
  user_id: numbersOf('User ids of local clients.', 0, 2 ** 32 - 1),
  device: listOf('known, new, on_grace, denied.'),
  time: listOf('Local time: "mon-fri 08:00-18:00", "sat,sun", "22:00-06:00".'),
  external: Type.Optional(text('an http(s) address', 'Address that is asked for a judgement.')),
  rule_set: listOf('Tags of rule sets.'),
  action: Type.Optional(
    oneOf(
      ['route', 'reject', 'limit', 'sniff', 'resolve'],
      'What to do. After limit, sniff and resolve the rules behind are looked at. Default: route, where `outbound` ' +
        'or `override_address` or `override_port` is given.',
    ),
  ),
  method: Type.Optional(
    oneOf(
      ['reply', 'reset', 'fin', 'drop'],
      "How to reject: in the client's protocol, by a reset, by an end of the stream, or by silence. Default: reply.",
      'reply',
    ),
  ),
  outbound: Type.Optional(name("Tag of the outbound to route to. Default: the service's, or `final`.")),
  override_address: Type.Optional(text('an address or a name', 'Connect to this address or name instead.')),
  override_port: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 65_535, description: 'And to this port.' }),
  ),
  gate: Type.Optional(gate),
  rate: Type.Optional(rate),
  sniffer: listOf('What the action sniff looks for: tls, http, quic, ssh, dns. Default: all.'),
  timeout: Type.Optional(
    duration(
      'How long a look-up of this rule may take, at most 30s. Default: 300ms to sniff, 5s to resolve, else 1s.',
    ),
  ),
  on_timeout: Type.Optional(
    oneOf(
      ['skip', 'reject', 'allow'],
      'What holds when a look-up of this rule fails or is late: the next rules, a refusal, or the `outbound` of this ' +
        'rule without a look at others. Default: skip.',
      'skip',
    ),
  ),
});

export const configurationSchema = closed(
  {
    $schema: Type.Optional(Type.String({ description: 'For editors; not used.' })),
    workers: Type.Optional(
      Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1, maximum: 256 })], {
        title: 'auto, or a number from 1 to 256',
        default: DEFAULTS.workers,
        description: 'Data workers; auto is one for each CPU. Default: auto.',
      }),
    ),
    admin: Type.Optional(
      Type.Union(
        [
          Type.Literal(false),
          Type.Null(),
          closed({
            listen: Type.Optional(
              text(
                'address:port',
                'Address and port of the admin API over TCP, which always needs the token.',
              ),
            ),
            token_file: Type.Optional(
              text(
                'a path',
                'Holds the bearer token; made with mode 0600 if missing. Default: ./admin.token.',
                {
                  default: DEFAULTS.tokenFile,
                },
              ),
            ),
            socket: Type.Optional(
              text('a path', 'Unix socket of the admin API. Default: sluice.sock beside the store.'),
            ),
          }),
        ],
        {
          title: 'false, or listen, token_file and socket',
          description:
            'The admin API. Its Unix socket is always open, to its owner only: the command line needs it. ' +
            'With `listen` it is on TCP as well; `false` means no more than without.',
        },
      ),
    ),
    store: Type.Optional(
      text(
        'a path',
        'SQLite file. Default: ./sluice.db. Relative paths start from the directory of this file.',
        {
          default: DEFAULTS.store,
        },
      ),
    ),
    timeouts: Type.Optional(
      closed(
        {
          handshake: Type.Optional(
            duration('From accept until the target is known.', DEFAULTS.timeouts.handshake),
          ),
          connect: Type.Optional(duration('Until the target has answered.', DEFAULTS.timeouts.connect)),
          idle: Type.Optional(duration('Without a byte in either direction.', DEFAULTS.timeouts.idle)),
          half_close: Type.Optional(duration('After one direction has ended.', DEFAULTS.timeouts.half_close)),
          drain: Type.Optional(
            duration('How long open connections may last when Sluice stops.', DEFAULTS.timeouts.drain),
          ),
        },
        { description: 'Deadlines of every connection; at most 24 days.' },
      ),
    ),
    log: Type.Optional(
      closed(
        {
          level: Type.Optional(
            oneOf(
              ['debug', 'info', 'warn', 'error'],
              'The least that is logged. Default: info.',
              DEFAULTS.logLevel,
            ),
          ),
        },
        { description: 'The log, as JSON lines on standard error.' },
      ),
    ),
    access_log: Type.Optional(
      closed(
        {
          path: Type.Optional(
            text(
              'a path, or stderr',
              'The file, or stderr. It is opened anew at each reload, so that it can be rotated. Default: ./access.log.',
              { default: DEFAULTS.accessLog.path },
            ),
          ),
          sample: Type.Optional(
            Type.Number({
              exclusiveMinimum: 0,
              maximum: 1,
              title: 'a number above 0, up to 1',
              default: DEFAULTS.accessLog.sample,
              description:
                'The part of all connections that is written: 0.01 is one of a hundred. Default: 1.',
            }),
          ),
          reasons: Type.Optional(
            Type.Array(Type.String({ title: 'the name of a reason' }), {
              title: 'a list of reasons',
              description: 'Only connections that ended for one of these reasons. Default: all.',
            }),
          ),
          services: Type.Optional(
            Type.Array(name('The name of a service.'), {
              title: 'a list of services',
              description: 'Only connections of these services. Default: all.',
            }),
          ),
        },
        { description: 'A JSON line for each connection that has ended. Default: none.' },
      ),
    ),
    limits: Type.Optional(
      closed(
        {
          connections_per_worker: Type.Optional(
            Type.Integer({
              minimum: 64,
              maximum: 1_048_576,
              default: DEFAULTS.connectionsPerWorker,
              description: 'Connections that one worker holds at most; memory is set aside for them.',
            }),
          ),
        },
        { description: 'Bounds of this process.' },
      ),
    ),
    inbounds: Type.Array(byType('an inbound', INBOUND_VARIANTS), {
      minItems: 1,
      title: 'a list of inbounds',
      description: 'Where connections come in.',
    }),
    outbounds: Type.Optional(
      Type.Array(byType('an outbound', OUTBOUND_VARIANTS), {
        title: 'a list of outbounds',
        description: 'How targets are reached. Default: one of type direct, with the tag direct.',
      }),
    ),
    services: Type.Optional(
      Type.Array(serviceSchema, { title: 'a list of services', description: 'Who connections belong to.' }),
    ),
    rule_sets: Type.Optional(
      Type.Array(ruleSet, {
        title: 'a list of rule sets',
        description: 'Conditions that rules refer to, from files or the network.',
      }),
    ),
    geo: Type.Optional(
      closed(
        {
          country: Type.Optional(
            text('a path', 'mmdb file of countries, for `geoip` and `source_geoip`. Default: none.'),
          ),
          asn: Type.Optional(text('a path', 'mmdb file of autonomous systems, for `asn`. Default: none.')),
        },
        { description: 'Where addresses belong.' },
      ),
    ),
    rules: Type.Optional(
      Type.Array(Type.Unsafe<Static<typeof rule>>({ $ref: '#/definitions/rule' }), {
        title: 'a list of rules',
        description: 'The first that matches holds.',
      }),
    ),
    final: Type.Optional(
      name('Tag of the outbound where no rule matches. Default: the outbound `direct`, or else the first.'),
    ),
  },
  {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'a mapping with the keys of a configuration',
    definitions: { rule },
  },
);

/** Services alone, as the API is sent them: the same words as in a file. */
export const servicesSchema = closed(
  { services: Type.Array(serviceSchema, { title: 'a list of services', description: 'Services.' }) },
  { title: 'a mapping with the key `services`' },
);

/** Rules alone, as the API is sent them. */
export const rulesSchema = closed(
  {
    rules: Type.Array(Type.Unsafe<Static<typeof rule>>({ $ref: '#/definitions/rule' }), {
      title: 'a list of rules',
      description: 'Rules.',
    }),
  },
  { title: 'a mapping with the key `rules`', definitions: { rule } },
);

/** The keys of each variant, for telling that a key belongs to another `type`. */
export const VARIANT_KEYS: Readonly<Record<string, readonly { type: string; keys: readonly string[] }[]>> = {
  inbounds: INBOUND_VARIANTS.map(variantKeys),
  outbounds: OUTBOUND_VARIANTS.map(variantKeys),
};

function variantKeys(variant: { properties: { type: { const: string } } }) {
  return { type: variant.properties.type.const, keys: Object.keys(variant.properties) };
}

/** One rule, as it is written. */
export type WrittenRule = Static<typeof rule>;

/** As written, once the shape is right. */
export type WrittenConfiguration = Static<typeof configurationSchema>;

/** The file that editors load, as text. */
export function schemaText(): string {
  return `${JSON.stringify(configurationSchema, undefined, 2)}\n`;
}
