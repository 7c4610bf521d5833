// The checksum of zip, gzip and PNG. Here it deals questions to splits: anyone can recompute it, in any language.
// Source: RFC 1952, section 8 (reflected polynomial 0xedb88320), one table look-up per byte. Used by: questions.ts.

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte;
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1;
  return remainder;
});

/** CRC-32 of an ASCII text, as a whole number from 0 to 2^32 - 1. */
export function crc32(text: string): number {
  let crc = 0xffffffff;
  for (let i = 0; i < text.length; i++) crc = TABLE[(crc ^ text.charCodeAt(i)) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}
