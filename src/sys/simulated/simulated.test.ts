// The simulated network against the suite that the real kernel passes, for a few seeds.

import { describeSys } from '../sys.compliance.ts';
import { createSimulatedNetwork } from './simulated-network.ts';

for (const seed of [1, 2, 3]) {
  describeSys(`simulated, seed ${seed}`, () => {
    const network = createSimulatedNetwork({ seed });
    let paths = 0;
    return {
      sys: network.sys({ descriptorsMax: 512 }),
      unixPath: () => `/run/${paths++}.sock`,
      placeFile: (path) => network.createFile(path),
      modeOf: (path) => network.modeOf(path),
      dispose: () => {},
    };
  });
}
