/** Which texts an encoder reads together: of about the same length, since the short ones are padded to the longest. */

/**
 * @param lengths tokens of each text
 * @param max_tokens of one group, padding included; a text that is longer has a group of its own
 * @returns the places of the texts, every one once, in groups of rising length
 */
export function groupsOf(lengths: readonly number[], max_tokens: number): number[][] {
  const rising = [...lengths.keys()].sort((a, b) => (lengths[a] as number) - (lengths[b] as number) || a - b);
  const groups: number[][] = [];
  for (const at of rising) {
    const last = groups.at(-1);
    if (last && (last.length + 1) * (lengths[at] as number) <= max_tokens) last.push(at);
    else groups.push([at]);
  }
  return groups;
}
