// What is added to a matrix product on its way out, which saves a pass over memory for each. For the product's shaders,
// with their bindings bias [N] and residual, of out's shape, and the parameters addBias and addResidual that switch
// them on.

/** What to store as element `at`, which is in column `column`, where the product is `sum`. */
fn epilogue(sum: f32, at: u32, column: u32) -> f32 {
  var value = sum;
  if (p.addBias != 0u) {
    value += bias[column];
  }
  if (p.addResidual != 0u) {
    value += residual[at];
  }
  return value;
}
