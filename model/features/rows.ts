/** The rows of a matrix, which share its memory. */
export function splitRows(matrix: Float32Array, rows: number): Float32Array[] {
  const width = matrix.length / rows;
  return Array.from({ length: rows }, (_, row) => matrix.subarray(row * width, (row + 1) * width));
}

/** One matrix of rows. */
export function joinRows(rows: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(rows.reduce((total, row) => total + row.length, 0));
  let offset = 0;
  for (const row of rows) {
    whole.set(row, offset);
    offset += row.length;
  }
  return whole;
}
