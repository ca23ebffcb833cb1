// What the parts of the stage answer each other, besides CONTINUE, WAIT and retire reasons (flags.ts).

/** What a rule wanted to know can't be known, or came too late: its on_timeout decides. */
export const IN_VAIN = -3;
/** The rule does not decide: go on behind it. */
export const PASSED_BY = -4;
/** The rule has decided. */
export const DECIDED = -5;
