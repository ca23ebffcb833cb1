// Bits of a slot's `flags`, and the steps of a handshake. A bit that exists for each side or direction is written for
// the client (up) and shifted by the side (direction) for the other: `READABLE << SERVER`.

/** The socket may have something to read: an edge came, and it has not been read dry since. */
export const READABLE = 1 << 0;
/** The peer's FIN is in: a read that comes back short has met the end. */
export const ENDING = 1 << 2;
/** All that the side ever sent has been read. */
export const ENDED = 1 << 4;
/** Bytes wait for this side to take more. */
export const BLOCKED = 1 << 6;
/** This side was sent our FIN. */
export const SHUT = 1 << 8;
/** The side reset the connection; what it sent before may still be there to be read. */
export const BROKEN = 1 << 10;
/** A short read proves nothing: urgent data was seen (tcp(7): reads stop at the mark), or a reset comes behind the bytes. */
export const URGENT = 1 << 12;

/** The direction is not plain copying: leftover bytes, a pipe, a framed body, or nobody to take it. */
export const SLOW = 1 << 14;
/** The direction goes through a pipe. */
export const SPLICED = 1 << 16;
/** The kernel refused to splice it; never tried again. */
export const UNSPLICEABLE = 1 << 18;
/** Nobody takes this direction's bytes any more. */
export const DEAD = 1 << 20;

// Once a connection.
/** The slot's number stands in the ready list. */
export const QUEUED = 1 << 22;
/** The request's body has a Content-Length; up only. */
export const FRAMED_LENGTH = 1 << 23;
/** The request's body is chunked; up only. */
export const FRAMED_CHUNKED = 1 << 24;
/** The one request is over: what the client still sends is read and dropped. */
export const REQUEST_OVER = 1 << 25;
/** Something was sent to the server: a second small segment would meet Nagle's algorithm. */
export const SENT_ONCE = 1 << 26;
export const NODELAY_SET = 1 << 27;
/** The request's head is still in the client's socket: the server has not been sent all of it (relay/request-head.ts). */
export const HEAD_DUE = 1 << 28;
/** The target is a Unix socket: decided once, since the target's record may change while the connection waits. */
export const UNIX_TARGET = 1 << 29;

/** Something is known of it beside its slot (layout/facts.ts); without it those words are another connection's. */
export const HAS_FACTS = 1 << 30;

export const FRAMED = FRAMED_LENGTH | FRAMED_CHUNKED | REQUEST_OVER;

// Steps of a handshake.
export const STEP_PROXY_HEADER = 1;
export const STEP_FORWARD = 2;
export const STEP_SOCKS_GREETING = 3;
export const STEP_SOCKS_PASSWORD = 4;
export const STEP_SOCKS_REQUEST = 5;
/** Identified; the reply to the request is due. */
export const STEP_SOCKS_REPLY = 6;
export const STEP_HTTP_HEAD = 7;
export const STEP_HTTP_CONNECT_REPLY = 8;
export const STEP_HTTP_FORWARD_HEAD = 9;
export const STEP_CLIENT_HELLO = 10;
/** Nothing is owed to the client in its protocol. */
export const STEP_NONE = 11;
/** The client was told that the way is open, before it was: so that it speaks, and a rule can look at what. */
export const STEP_TOLD = 12;
/** The server's name was heard; the hello is still in the socket. */
export const STEP_HELLO_HEARD = 13;

// What a stage answers, besides a retire reason (> 0).
export const CONTINUE = 0;
export const WAIT = -1;
