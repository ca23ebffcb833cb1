// What every implementation of Sys must do: `libc/libc.test.ts` and `simulated/simulated.test.ts` both run this, so
// that the simulation can not drift from the kernel. Each subject has its file under compliance/.

import { afterEach, beforeEach, describe } from 'vitest';
import { describeAddresses } from './compliance/addresses.compliance.ts';
import { describeConnecting } from './compliance/connecting.compliance.ts';
import { describeEpoll } from './compliance/epoll.compliance.ts';
import { describeErrors } from './compliance/errors.compliance.ts';
import { describePipes } from './compliance/pipes.compliance.ts';
import { describeTcpEnds } from './compliance/tcp-ends.compliance.ts';
import { describeTcpStreams } from './compliance/tcp-streams.compliance.ts';
import { describeUnix } from './compliance/unix.compliance.ts';
import { createWorkbench, type SysFixture, type Workbench } from './compliance/workbench.compliance.ts';

/** Runs the whole suite against the Sys that `makeFixture` makes anew for each test. */
export function describeSys(name: string, makeFixture: () => SysFixture): void {
  describe(`Sys: ${name}`, () => {
    let workbench: Workbench;
    beforeEach(() => {
      workbench = createWorkbench(makeFixture());
    });
    afterEach(() => workbench.closeAll());

    const current = (): Workbench => workbench;
    describeErrors(current);
    describeAddresses(current);
    describeConnecting(current);
    describeTcpStreams(current);
    describeTcpEnds(current);
    describeEpoll(current);
    describePipes(current);
    describeUnix(current);
  });
}
