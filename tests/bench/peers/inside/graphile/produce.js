// graphile-worker's producer, with the command line of producing.py.
"use strict";
const { makeWorkerUtils } = require("graphile-worker");
const { appender } = require("./counting");

const CHUNK = 1000;
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

async function bulk(utils, first, count) {
  for (let from = first; from < first + count; from += CHUNK) {
    const length = Math.min(CHUNK, first + count - from);
    await utils.addJobs(
      Array.from({ length }, (_, place) => ({ identifier: "count", payload: { number: from + place } })),
    );
  }
}

async function single(utils, first, count) {
  for (let number = first; number < first + count; number++) await utils.addJob("count", { number });
}

async function steady(utils, first, count, perSecond) {
  const ask = appender(process.env.BENCH_ASKED);
  const began = performance.now();
  for (let place = 0; place < count; place++) {
    const early = began + (place * 1000) / perSecond - performance.now();
    if (early > 0) await pause(early);
    ask(first + place);
    await utils.addJob("count", { number: first + place });
  }
}

async function main([what, ...numbers]) {
  const utils = await makeWorkerUtils({ connectionString: process.env.BENCH_DSN });
  await utils.withPgClient((client) => client.query("SELECT"));
  const steps = { setup: () => utils.migrate(), bulk, single, steady };
  const began = performance.now();
  await steps[what](utils, ...numbers.map(Number));
  console.log(JSON.stringify({ seconds: (performance.now() - began) / 1000 }));
  await utils.release();
}

main(process.argv.slice(2));
