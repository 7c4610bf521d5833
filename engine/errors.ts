// The errors that a user can meet. Each message is one line: where: what was given: what is wrong (and the way out, if
// there is one). The command line turns the class into an exit code; see remit/app/cli/main.ts.

/** Anything we say on purpose. Its message is for people; its stack is not shown. */
export class RemitError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
    this.name = new.target.name;
  }
}

/**
 * Control characters, and marks that turn the direction of text, as escapes: file names and foreign text in a message
 * cannot draw on a terminal.
 */
export function oneLine(text: string): string {
  return text.replaceAll(CONTROL, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g;

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
