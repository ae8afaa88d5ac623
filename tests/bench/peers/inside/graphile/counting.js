// The same body as counting.py: number and monotonic nanoseconds, 16 bytes appended to one file.
"use strict";
const fs = require("node:fs");

function appender(path) {
  const file = fs.openSync(path, "a");
  const record = Buffer.alloc(16);
  return (number) => {
    record.writeBigInt64LE(BigInt(number), 0);
    record.writeBigInt64LE(process.hrtime.bigint(), 8);
    fs.writeSync(file, record);
  };
}

module.exports = { appender };
