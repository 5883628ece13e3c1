/** Bounds for tokens of one request: from an answer of one word to the longest prompts that models take. */
export const TOKEN_COUNTS: number[] = [
  ...[1, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000],
  ...[20_000, 50_000, 100_000, 200_000, 1_000_000],
];
