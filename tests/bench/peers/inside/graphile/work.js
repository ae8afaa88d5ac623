// One worker process of graphile-worker.
"use strict";
const { run, Logger } = require("graphile-worker");
const { appender } = require("./counting");

const count = appender(process.env.BENCH_RAN);
const size = Number(process.env.BENCH_LOCAL_QUEUE || 0);
const batched = {
  concurrentJobs: 24,
  localQueue: { size },
  completeJobBatchDelay: 0,
  failJobBatchDelay: 0,
};
const logger = new Logger(() => (level, message) => level === "error" && console.error(message));
const worker = { connectionString: process.env.BENCH_DSN, maxPoolSize: 10, logger, ...(size ? batched : {}) };
if (!size) worker.concurrentJobs = 10;

run({ preset: { worker }, taskList: { count: async ({ number }) => count(number) } })
  .then((runner) => runner.promise)
  .catch((error) => {
    console.error(error);
    process.exit(1);
  });
