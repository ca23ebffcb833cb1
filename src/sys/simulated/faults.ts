// What the simulated network may do wrong, each with its probability in [0, 1]. Every fault is something that Linux
// does too; what it never does (a short read while more is queued, bytes out of order) is not here.

export interface Faults {
  /** A send or splice moves fewer bytes than there is room for; the rest fits a little later, with an edge. */
  splitWrite: number;
  /** A send, accept or splice answers EAGAIN although it could have worked; an edge or level follows. */
  spuriousAgain: number;
  /** epollWait answers EINTR. */
  interrupt: number;
  /** epollWait answers its records in another order. */
  reorder: number;
  /** A segment is much smaller than what is to be sent. Per segment. */
  fragment: number;
  /** A connection's buffers hold a few kilobytes only. Per end of a connection. */
  smallBuffers: number;
  /** A middle box resets both ends within 20 ms of a connection's beginning. Per connection. */
  reset: number;
  /** The handshake takes up to 200 ms longer. Per connect. */
  delayedConnect: number;
  /** No descriptor can be created for up to 2 ms. Per call that would create one. */
  descriptorsExhausted: number;
}

export const NO_FAULTS: Faults = {
  splitWrite: 0,
  spuriousAgain: 0,
  interrupt: 0,
  reorder: 0,
  fragment: 0,
  smallBuffers: 0,
  reset: 0,
  delayedConnect: 0,
  descriptorsExhausted: 0,
};

/** A bad day: enough of everything to meet most combinations within a few hundred seeds. */
export const COMMON_FAULTS: Faults = {
  splitWrite: 0.1,
  spuriousAgain: 0.05,
  interrupt: 0.01,
  reorder: 0.3,
  fragment: 0.1,
  smallBuffers: 0.2,
  reset: 0.05,
  delayedConnect: 0.1,
  descriptorsExhausted: 0.01,
};
