// A matrix product, the plainest way: a row of a times a column of b. Run it: npx remit-mini bench --kernel naive.mjs.
// Next: tile.mjs.

export default {
  like: 'matmul',
  fits: ({ batch, transA, transB }) => batch === 1 && !transA && !transB,
  js({ a, b, out }, { M, N, K }) {
    for (let i = 0; i < M; i++) {
      for (let j = 0; j < N; j++) {
        let sum = 0;
        for (let k = 0; k < K; k++) sum += a[i * K + k] * b[k * N + j];
        out[i * N + j] = sum;
      }
    }
  },
};
