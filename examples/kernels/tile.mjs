// Four rows by two columns at a time: eight sums stay in registers for the whole of K, and six loads serve eight
// multiplications instead of one. Rows and columns that are left over go one by one. Next: kernels/matmul/tile.wasm.ts,
// which holds eight vectors instead of eight numbers.

export default {
  like: 'matmul',
  fits: ({ batch, transA, transB }) => batch === 1 && !transA && !transB,
  js({ a, b, out }, { M, N, K }) {
    const [rows, columns] = [M - (M % 4), N - (N % 2)];
    for (let i = 0; i < rows; i += 4) {
      for (let j = 0; j < columns; j += 2) tile({ a, b, out, N, K }, i, j);
    }
    for (let i = 0; i < M; i++) {
      for (let j = i < rows ? columns : 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += a[i * K + k] * b[k * N + j];
        out[i * N + j] = sum;
      }
    }
  },
};

function tile({ a, b, out, N, K }, i, j) {
  let s00 = 0;
  let s01 = 0;
  let s10 = 0;
  let s11 = 0;
  let s20 = 0;
  let s21 = 0;
  let s30 = 0;
  let s31 = 0;
  for (let k = 0; k < K; k++) {
    const at = i * K + k;
    const y0 = b[k * N + j];
    const y1 = b[k * N + j + 1];
    const x0 = a[at];
    const x1 = a[at + K];
    const x2 = a[at + 2 * K];
    const x3 = a[at + 3 * K];
    s00 += x0 * y0;
    s01 += x0 * y1;
    s10 += x1 * y0;
    s11 += x1 * y1;
    s20 += x2 * y0;
    s21 += x2 * y1;
    s30 += x3 * y0;
    s31 += x3 * y1;
  }
  const at = i * N + j;
  out[at] = s00;
  out[at + 1] = s01;
  out[at + N] = s10;
  out[at + N + 1] = s11;
  out[at + 2 * N] = s20;
  out[at + 2 * N + 1] = s21;
  out[at + 3 * N] = s30;
  out[at + 3 * N + 1] = s31;
}
