// The dashboard's scripts. Everything works without them; they keep a page true, and a keyboard's owner quick.

import { startCharts } from "./charts.js";
import { startAsking } from "./asking.js";
import { startFurther } from "./further.js";
import { startJob } from "./job.js";
import { startKeys } from "./keys.js";
import { startList } from "./list.js";
import { startLive } from "./live.js";
import { startPalette } from "./palette.js";
import { startSearch } from "./search.js";
import { refresh } from "./regions.js";

const list = startList();
const job = startJob();

startLive({
  onJob: (change) => (list ?? job)?.change(change),
  onLook: async () => {
    const page = await refresh();
    if (page) list?.renew(page);
  },
  // A page about one job is looked at again at once; figures of many need not be.
  pause: job ? 150 : list ? 1000 : 2000,
});
startAsking();
startCharts();
startFurther();
startSearch();
startPalette();
startKeys(list);
