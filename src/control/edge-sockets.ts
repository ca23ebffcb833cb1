// The listening sockets of the configuration in force. Those whose address is still wanted are kept; those that are not
// are closed last: until a worker has applied the new plan it still accepts from them, and a descriptor's number must not
// become another file under its feet. Part of edge.ts. Control thread only.

import type { Configuration } from '../config/configuration.ts';
import { EADDRINUSE } from '../sys/constants.ts';
import type { SocketAddress } from '../sys/socket-address.ts';
import type { Sys } from '../sys/sys.ts';
import { closeListener, listenerKey, listenRefusal, openListener } from './listeners.ts';
import type { Listener } from './listeners.ts';
import { plannedInbounds } from './plan.ts';

/** Sockets for a configuration: opened, and not in force. */
export interface WantedSockets {
  readonly wanted: ReadonlyMap<string, Listener>;
  readonly unwanted: readonly Listener[];
}

export interface EdgeSockets {
  /** @throws SluiceError listen_failed, after closing what it opened */
  open(configuration: Configuration): WantedSockets;
  /** These are in force; those unwanted wait for `closeUnwanted`. */
  take(sockets: WantedSockets): void;
  /** By tag of an inbound in force. */
  listener(tag: string): Listener | undefined;
  /** Descriptors, those that wait to be closed among them. */
  readonly descriptors: number;
  closeUnwanted(): void;
  closeAll(): void;
}

export function createEdgeSockets(sys: Sys, address: SocketAddress, workers: number): EdgeSockets {
  let listeners: ReadonlyMap<string, Listener> = new Map();
  let unwanted: readonly Listener[] = [];

  return {
    open(configuration) {
      const open = [...new Set([...listeners.values(), ...unwanted])];
      const ownPorts = new Set(open.map((listener) => listener.port));
      const wanted = new Map<string, Listener>();
      const opened: Listener[] = [];
      try {
        for (const inbound of plannedInbounds(configuration)) {
          const key = listenerKey(inbound.listen, inbound.tag);
          if ([...wanted.values()].some((listener) => listener.key === key)) {
            throw listenRefusal(inbound.tag, inbound.listen.text, -EADDRINUSE);
          }
          let listener = open.find((one) => one.key === key);
          if (listener === undefined) {
            listener = openListener(sys, address, inbound, workers, ownPorts);
            opened.push(listener);
          }
          wanted.set(inbound.tag, listener);
        }
      } catch (error) {
        for (const listener of opened) closeListener(sys, listener);
        throw error;
      }
      const kept = new Set(wanted.values());
      return { wanted, unwanted: open.filter((listener) => !kept.has(listener)) };
    },
    take(sockets) {
      listeners = sockets.wanted;
      unwanted = sockets.unwanted;
    },
    listener: (tag) => listeners.get(tag),
    get descriptors() {
      return [...listeners.values(), ...unwanted].reduce((sum, listener) => sum + listener.fds.length, 0);
    },
    closeUnwanted() {
      for (const listener of unwanted) closeListener(sys, listener);
      unwanted = [];
    },
    closeAll() {
      for (const listener of [...listeners.values(), ...unwanted]) closeListener(sys, listener);
      listeners = new Map();
      unwanted = [];
    },
  };
}
