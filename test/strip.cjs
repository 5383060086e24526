// Jest's transform: Node's own type stripping, so tests run the very code that production runs.
const { createHash } = require('node:crypto');
const { stripTypeScriptTypes } = require('node:module');

module.exports = {
  process: (source, file) => ({ code: stripTypeScriptTypes(source, { mode: 'strip', sourceUrl: file }) }),
  getCacheKey: (source, file) =>
    createHash('sha256').update(`${process.version}\0${file}\0${source}`).digest('hex'),
};
