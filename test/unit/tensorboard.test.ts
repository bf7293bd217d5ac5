// TensorBoard's event files: bytes as its own writer makes them, what a step says there, and files that go on after a stop.
import { appendFile, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { mergeFigures } from '../../src/merge/mergeTask.js'
import { type StepReport, stepReport } from '../../src/training/report.js'
import { startEvent, stepOfEvent, summaryEvent, versionEvent } from '../../src/training/summaryEvent.js'
import { EventFile, summaryOf } from '../../src/training/tensorboard.js'
import { framed, maskedCrc32c, recordsOf } from '../../src/training/tfRecord.js'
import { plainReport } from './fakeSession.js'

const golden = join(import.meta.dirname, '../golden/tensorboard')
const valuesSchema = z.array(
  z.strictObject({
    wallTime: z.number(),
    step: z.number().default(0),
    start: z.number().optional(),
    scalars: z.record(z.string(), z.number()).optional(),
    texts: z.record(z.string(), z.string()).optional(),
  }),
)

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'events-'))
})

const reportOf = (step: number, more: Partial<StepReport> = {}): StepReport => {
  const clock = { progress: 0.5, epoch: 2, seconds: 10, secondsLeft: 5, tokensPerSecond: 2000, dropped: 1 }
  return {
    ...stepReport(plainReport, { step: step - 1, learningRate: 3e-3, ...clock }, mergeFigures),
    ...more,
  }
}

/** The steps of all events of a file; the version is step 0, and so is a start without a step. */
const stepsOf = async (name: string) => [...recordsOf(await readFile(join(folder, name)))].map(stepOfEvent)

describe('bytes', () => {
  test("are those of TensorBoard's own writer", async () => {
    const values = valuesSchema.parse(JSON.parse(await readFile(join(golden, 'values.json'), 'utf8')))
    const events = values.map(({ wallTime, step, start, scalars, texts }, index) => {
      if (index === 0) return versionEvent(wallTime)
      if (start !== undefined) return startEvent({ wallTime, step: start })
      const summary = { ...(scalars === undefined ? {} : { scalars }), ...(texts === undefined ? {} : { texts }) }
      return summaryEvent({ wallTime, step }, summary)
    })
    const bytes = await readFile(join(golden, 'events.bin'))
    expect(Buffer.concat(events.map(framed)).toString('hex')).toBe(bytes.toString('hex'))
    expect([...recordsOf(bytes)].map(stepOfEvent)).toEqual([0, 301, 1, 127, 128, 3_000_000_000])
  })

  test('the checksum is CRC-32C, masked', () => {
    // RFC 3720, B.4: 32 bytes of zeros have 0x8a9136aa.
    const masked = (((0x8a91_36aa >>> 15) | (0x8a91_36aa << 17)) + 0xa282_ead8) >>> 0
    expect(maskedCrc32c(new Uint8Array(32))).toBe(masked)
  })

  test('reading stops before a record that is cut short or damaged', () => {
    const file = Buffer.concat([framed(Buffer.from('one')), framed(Buffer.from('two')), framed(Buffer.from('three'))])
    const read = (bytes: Buffer) => [...recordsOf(bytes)].map(String)
    expect(read(file)).toEqual(['one', 'two', 'three'])
    for (let cut = 1; cut <= 21; cut++)
      expect(read(file.subarray(0, file.length - cut)), `${cut}`).toEqual(['one', 'two'])
    for (let at = 19; at < 38; at++) {
      const damaged = Buffer.from(file)
      damaged[at] = (damaged[at] ?? 0) ^ 1
      expect(read(damaged), `${at}`).toEqual(['one'])
    }
  })
})

describe('a report', () => {
  test('gives every loss term, every number of the step and of its evaluation', () => {
    const { scalars = {}, texts } = summaryOf(reportOf(7, { evaluation: { exact: 0.25, meanRounds: 1.5 } }))
    expect(scalars).toMatchObject({
      'loss/total': 1,
      'loss/recon': 0.5,
      'loss/compression': 0.4,
      'loss/pointer': 0.3,
      'loss/gate': 0.2,
      'loss/length': 0.1,
      'train/gateRate': 0.5,
      'train/keepRate': 0.9,
      'train/rounds': 1,
      'train/learningRate': 3e-3,
      'train/gradientNorm': 1,
      'train/tokensPerSecond': 2000,
      'evaluation/exact': 0.25,
      'evaluation/meanRounds': 1.5,
    })
    expect(Object.keys(scalars)).not.toContain('train/step')
    expect(texts).toBeUndefined()
  })

  test('gives its samples as text that is shown as it is', () => {
    const samples = [
      { draft: '# a', result: 'A\nb', target: '*A*' },
      { draft: 'x', result: 'y' },
    ]
    expect(summaryOf(reportOf(7, { samples })).texts).toEqual({
      'samples/1': '**draft**\n\n    # a\n\n**result**\n\n    A\n    b\n\n**target**\n\n    *A*',
      'samples/2': '**draft**\n\n    x\n\n**result**\n\n    y',
    })
  })
})

describe('files', () => {
  const write = async (from: number, to: number, now?: () => number) => {
    const events = await EventFile.open(folder, from, now)
    for (let step = from + 1; step <= to; step++) await events.append(reportOf(step))
    await events.close()
  }

  test('a run that goes on cuts what it takes again, and starts a file of its own that comes last', async () => {
    await write(0, 8, () => 1_700_000_000_000)
    // The second process has an older clock.
    await write(5, 7, () => 1_600_000_000_000)
    await write(6, 8, () => 1_600_000_000_000)
    const names = (await readdir(folder)).sort()
    expect(names.map((name) => name.split('.').slice(0, 4).join('.'))).toEqual([
      'events.out.tfevents.1700000000',
      'events.out.tfevents.1700000001',
      'events.out.tfevents.1700000002',
    ])
    expect(await Promise.all(names.map(stepsOf))).toEqual([
      [0, 1, 2, 3, 4, 5],
      [0, 6, 6],
      [0, 7, 7, 8],
    ])
  })

  test('a record that a killed process left unfinished goes; files without a step go; other files stay', async () => {
    await write(0, 3)
    const [first = ''] = await readdir(folder)
    await appendFile(join(folder, first), framed(Buffer.from('half')).subarray(0, 9))
    await writeFile(join(folder, 'notes.txt'), 'mine')
    await write(3, 3)
    await write(3, 4)
    const names = (await readdir(folder)).sort()
    expect(names).toHaveLength(3)
    expect(await stepsOf(first)).toEqual([0, 1, 2, 3])
    expect(await stepsOf(names[1] ?? '')).toEqual([0, 4, 4])
    await write(0, 1)
    expect(await readdir(folder)).toHaveLength(2)
  })
})
