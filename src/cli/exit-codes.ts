// What the CLI answers to whoever started it. @source sysexits.h for the numbers from 64 on

export const EXIT_OK = 0;
/** A mistake in the configuration, or a daemon that refused. */
export const EXIT_REFUSED = 1;
/** A mistake on the command line. */
export const EXIT_USAGE = 2;
/** EX_UNAVAILABLE: no daemon answers there. */
export const EXIT_UNREACHABLE = 69;
/** EX_SOFTWARE: a fault of Sluice. */
export const EXIT_INTERNAL = 70;

export const EXIT_CODES_HELP = `
Exit codes:
  ${EXIT_OK}   done
  ${EXIT_REFUSED}   a mistake in the configuration, or the daemon refused
  ${EXIT_USAGE}   a mistake on the command line
  ${EXIT_UNREACHABLE}  no daemon answers
  ${EXIT_INTERNAL}  a fault of Sluice itself`;
