'use strict';

/* core_trace.js MODULE SEEDS STEPS: prints what tests/core_trace.c prints, with the functions of the module. */
const fs = require('node:fs');
const { WASI } = require('node:wasi');

const [file, seeds, steps] = process.argv.slice(2);
const wasi = new WASI({ version: 'preview1' });
const instance = new WebAssembly.Instance(new WebAssembly.Module(fs.readFileSync(file)), wasi.getImportObject());
wasi.initialize(instance);
for (let seed = 1n; seed <= BigInt(seeds); seed++) {
  const hash = BigInt.asUintN(64, instance.exports.core_model_run(seed, Number(steps)));
  console.log(hash.toString(16).padStart(16, '0'));
}
