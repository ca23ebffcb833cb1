// The states of a simulated TCP socket. Linux has eleven; those that no system call can tell apart are one here, and
// which FIN went where is kept beside the state.

/** Fresh, failed, reset, or finished both ways. */
export const TCP_CLOSED = 0;
export const TCP_LISTENING = 1;
export const TCP_CONNECTING = 2;
export const TCP_CONNECTED = 3;
