/** Whether a text has every word of a query, in any order, upper or lower case. */
export function matches(query, text) {
  const lower = text.toLowerCase();
  return query
    .toLowerCase()
    .split(/\s+/)
    .every((word) => lower.includes(word));
}
