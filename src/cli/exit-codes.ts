// What the CLI answers to whoever started it. @source sysexits.h for 69, 70 and 74; the shell's custom for 130

export const EXIT_OK = 0;
/** A mistake in the configuration, or a daemon that refused. */
export const EXIT_REFUSED = 1;
/** A mistake on the command line. */
export const EXIT_USAGE = 2;
/** What was named is not there, or nothing matched: the state that an eviction wants, and not what a script expects to end. */
export const EXIT_NOTHING = 3;
/** EX_UNAVAILABLE: no daemon answers there. */
export const EXIT_UNREACHABLE = 69;
/** EX_SOFTWARE: a fault of Sluice. */
export const EXIT_INTERNAL = 70;
/** EX_IOERR: what there was to say could not be written. */
export const EXIT_UNWRITTEN = 74;
/** 128 + SIGINT: ended by Ctrl-C before it was done. */
export const EXIT_INTERRUPTED = 130;

export const EXIT_CODES_HELP = `
Exit codes:
  ${EXIT_OK}    done
  ${EXIT_REFUSED}    a mistake in the configuration or the request, or the daemon refused
  ${EXIT_USAGE}    a mistake on the command line
  ${EXIT_NOTHING}    nothing matched, or what was named is not there
  ${EXIT_UNREACHABLE}   no daemon answers
  ${EXIT_INTERNAL}   a fault of Sluice itself
  ${EXIT_UNWRITTEN}   the answer could not be written
  ${EXIT_INTERRUPTED}  an eviction that Ctrl-C cut short`;
