// ByteRun: decodes a run of UTF-8 bytes one by one, giving each byte the text that it completes.

/** A run ends at a token that is no byte; what is incomplete then becomes U+FFFD. */
export class ByteRun {
  private readonly decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  private readonly one = new Uint8Array(1)
  private open = false

  /** The text completed by this byte, often none. */
  add(byte: number): string {
    if (byte < 0x80 && !this.open) return String.fromCharCode(byte)
    this.one[0] = byte
    this.open = true
    const text = this.decoder.decode(this.one, { stream: true })
    // An ASCII byte closes whatever was open before it.
    if (byte < 0x80) this.open = false
    return text
  }

  /** Ends the run; the rest of the text goes to the last of the pieces, which must be the last byte's. */
  endInto(pieces: string[]): void {
    if (!this.open) return
    this.open = false
    const rest = this.decoder.decode()
    const last = pieces.pop()
    if (last !== undefined) pieces.push(last + rest)
  }
}
