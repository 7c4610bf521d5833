// The errors that a user can meet. Each message is one line: where: what was given: what is wrong (and the way out, if there is one).
// The command line turns the class into an exit code; see remit/cli/main.ts.

/** Anything we say on purpose. Its message is for people; its stack is not shown. */
export class RemitError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Shapes, sizes or element types that do not fit together. */
export class ShapeError extends RemitError {}

/** No such device, or the device failed. */
export class DeviceError extends RemitError {}

/** A setting that is unknown, of the wrong type, or out of its range; or a usage error. */
export class ConfigError extends RemitError {}

/** A tensor used after the step that owned its memory, or a step used wrongly. */
export class StepError extends RemitError {}

/** A file that is damaged, foreign, or not what its name says. */
export class FormatError extends RemitError {}

/** A loss or gradient that is no number any more. */
export class DivergedError extends RemitError {}
