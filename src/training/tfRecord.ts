// TFRecord: bytes framed by their length and two checksums; what TensorBoard's event files are made of.
//
// https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details

const lengthBytes = 8
const checksumBytes = 4

/** Bytes of a frame beside its content. */
export const frameBytes = lengthBytes + 2 * checksumBytes

/** A record: its length (64 bits), the checksum of that, the content, the checksum of that; all little-endian. */
export function framed(content: Uint8Array): Buffer {
  const frame = Buffer.alloc(content.length + frameBytes)
  frame.writeBigUInt64LE(BigInt(content.length), 0)
  frame.writeUInt32LE(maskedCrc32c(frame.subarray(0, lengthBytes)), lengthBytes)
  frame.set(content, lengthBytes + checksumBytes)
  frame.writeUInt32LE(maskedCrc32c(content), lengthBytes + checksumBytes + content.length)
  return frame
}

/** The contents of all whole records; it stops before the first that is cut short or damaged. */
export function* recordsOf(bytes: Buffer): Generator<Buffer, void, undefined> {
  let start = 0
  while (start + frameBytes <= bytes.length) {
    const head = bytes.subarray(start, start + lengthBytes)
    if (maskedCrc32c(head) !== bytes.readUInt32LE(start + lengthBytes)) return
    const from = start + lengthBytes + checksumBytes
    const to = from + Number(head.readBigUInt64LE(0))
    if (to + checksumBytes > bytes.length) return
    const content = bytes.subarray(from, to)
    if (maskedCrc32c(content) !== bytes.readUInt32LE(to)) return
    yield content
    start = to + checksumBytes
  }
}

/** CRC-32C (Castagnoli), turned and moved so that a checksum of data that hold checksums stays a good one. */
export function maskedCrc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 0xff] ?? 0)
  crc = ~crc >>> 0
  return (((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0
}

// The polynomial 0x1EDC6F41, its bits in reverse.
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f6_3b78 : 0)
  return crc >>> 0
})
