/** Says on stderr what a bench is at. */

/** @param {string} text */
export function say(text) {
  process.stderr.write(`${text}\n`);
}

/**
 * @param {string} reason
 * @returns {string} the notice that goes above the tables
 */
export function withoutPeers(reason) {
  return `**NO COMPARISON: ${reason}. The figures below are kofn's alone, and no target that needs a peer was checked.**`;
}
