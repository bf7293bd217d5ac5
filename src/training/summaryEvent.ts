// SummaryEvent: what TensorBoard reads: scalars and texts of a step, as the protocol buffers it expects.
//
// Only the fields that are used are known here; their numbers are those of
// https://github.com/tensorflow/tensorboard/tree/master/tensorboard/compat/proto (event, summary, tensor).

/** Numbers and texts of a step, by tag. */
export interface Summary {
  readonly scalars?: Readonly<Record<string, number>>
  /** Markdown. */
  readonly texts?: Readonly<Record<string, string>>
}

/** When something happened. */
export interface EventPlace {
  /** Seconds since 1970. */
  readonly wallTime: number
  readonly step: number
}

/** The first event of each file: it names the format. */
export function versionEvent(wallTime: number): Buffer {
  return Buffer.concat([float64(1, wallTime), bytes(3, Buffer.from('brain.Event:2'))])
}

/** Tells a reader to forget what it has seen of this step and later ones. */
export function startEvent({ wallTime, step }: EventPlace): Buffer {
  return Buffer.concat([float64(1, wallTime), whole(2, step), bytes(7, whole(1, sessionStart))])
}

/** The scalars and texts of a step; scalars are 32 bits wide, as TensorBoard keeps them. */
export function summaryEvent({ wallTime, step }: EventPlace, { scalars = {}, texts = {} }: Summary): Buffer {
  const values = [
    ...Object.entries(scalars).map(([tag, value]) => Buffer.concat([tagOf(tag), float32(2, value)])),
    ...Object.entries(texts).map(([tag, text]) => Buffer.concat([tagOf(`${tag}/text_summary`), textTensor(text)])),
  ]
  const summary = Buffer.concat(values.map((value) => bytes(1, value)))
  return Buffer.concat([float64(1, wallTime), whole(2, step), bytes(5, summary)])
}

/** The step of an event; 0 where it has none. */
export function stepOfEvent(event: Buffer): number {
  // Fields come in the order of their numbers: the time first, then the step.
  const at = event[0] === key(1, wire.eightBytes) ? 9 : 0
  if (event[at] !== key(2, wire.varint)) return 0
  let step = 0n
  for (let index = at + 1, shift = 0n; index < event.length; index++, shift += 7n) {
    const byte = event[index] ?? 0
    step |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  return Number(BigInt.asIntN(64, step))
}

const wire = { varint: 0, eightBytes: 1, bytes: 2, fourBytes: 5 } as const
const sessionStart = 1
const stringType = 7

const tagOf = (tag: string): Buffer => bytes(1, Buffer.from(tag))

// A list of one string, with the word that makes it the text plugin's.
function textTensor(text: string): Buffer {
  const shape = bytes(2, whole(1, 1))
  const tensor = Buffer.concat([whole(1, stringType), bytes(2, shape), bytes(8, Buffer.from(text))])
  const plugin = bytes(1, Buffer.from('text'))
  return Buffer.concat([bytes(8, tensor), bytes(9, bytes(1, plugin))])
}

const key = (field: number, type: number): number => (field << 3) | type

// https://protobuf.dev/programming-guides/encoding/; a field with the value 0 is left out, as in proto3.
function whole(field: number, value: number): Buffer {
  if (value === 0) return Buffer.alloc(0)
  return Buffer.from([key(field, wire.varint), ...varint(value)])
}

function float64(field: number, value: number): Buffer {
  const buffer = Buffer.alloc(9)
  buffer[0] = key(field, wire.eightBytes)
  buffer.writeDoubleLE(value, 1)
  return buffer
}

function float32(field: number, value: number): Buffer {
  const buffer = Buffer.alloc(5)
  buffer[0] = key(field, wire.fourBytes)
  buffer.writeFloatLE(value, 1)
  return buffer
}

function bytes(field: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([key(field, wire.bytes), ...varint(content.length)]), content])
}

function varint(value: number): number[] {
  const result: number[] = []
  let rest = value
  while (rest >= 0x80) {
    result.push((rest % 0x80) | 0x80)
    rest = Math.floor(rest / 0x80)
  }
  return [...result, rest]
}
