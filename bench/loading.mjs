// What it costs to load a RemeDi checkpoint of the official layout in bfloat16: seconds, and the most memory at any time.
// Writes a random one in shards (default: 1.7 billion parameters, 3.4 GB), loads it in a process of its own, and says what
// the 9-billion-parameter shape comes to. Usage: node bench/loading.mjs [layers] [width] [feedForward] [vocabulary]
import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const policyBlocks = 4
const shardBytes = 600e6

/** Names and shapes of the official class. */
function tensorsOf({ layers, width: d, feedForward: f, vocabulary: v }) {
  const block = (name) => [
    ...['attn_norm', 'ff_norm'].map((part) => [`${name}.${part}.weight`, [d]]),
    ...['q_proj', 'k_proj', 'v_proj', 'attn_out'].map((part) => [`${name}.${part}.weight`, [d, d]]),
    ...['ff_proj', 'up_proj'].map((part) => [`${name}.${part}.weight`, [f, d]]),
    [`${name}.ff_out.weight`, [d, f]],
  ]
  const back = (i) => [
    [`model.backprop_norms.${i}.weight`, [d]],
    [`model.backprop_linears.${i}.weight`, [d, d]],
    [`model.backprop_linears.${i}.bias`, [d]],
  ]
  const count = (n) => [...Array(n).keys()]
  return [
    ['model.transformer.wte.weight', [v, d]],
    ...count(layers).flatMap((b) => block(`model.transformer.blocks.${b}`)),
    ['model.transformer.ln_f.weight', [d]],
    ['model.transformer.ff_out.weight', [v, d]],
    ...count(policyBlocks).flatMap((i) => [...block(`model.blocks_upm.${i}`), ...back(i)]),
    ['model.ln_f_upm.weight', [d]],
    ['model.linear_confidence.weight', [1, d]],
    ['model.linear_confidence.bias', [1]],
  ]
}

const product = (shape) => shape.reduce((a, b) => a * b, 1)
const sizeOf = (tensors) => tensors.reduce((sum, [, shape]) => sum + 2 * product(shape), 0)

function writeCheckpoint(folder, shape) {
  const shards = [[]]
  for (const tensor of tensorsOf(shape)) {
    if (sizeOf(shards.at(-1)) + sizeOf([tensor]) > shardBytes && shards.at(-1).length > 0) shards.push([])
    shards.at(-1).push(tensor)
  }
  // bfloat16 is the upper half of a float32: numbers of either sign below 0.03.
  const noise = Uint16Array.from(
    { length: 1 << 21 },
    (_, i) => 0x3c00 + ((i * 2654435761) % 240) + (i % 3 === 0 ? 0x8000 : 0),
  )
  const map = {}
  shards.forEach((shard, index) => {
    const name = `model-${String(index + 1).padStart(5, '0')}-of-${String(shards.length).padStart(5, '0')}.safetensors`
    let begin = 0
    const header = Object.fromEntries(
      shard.map(([tensor, dims]) => {
        map[tensor] = name
        const entry = { dtype: 'BF16', shape: dims, data_offsets: [begin, begin + 2 * product(dims)] }
        begin += 2 * product(dims)
        return [tensor, entry]
      }),
    )
    const text = Buffer.from(JSON.stringify(header))
    const length = Buffer.alloc(8)
    length.writeBigUInt64LE(BigInt(text.length))
    const file = openSync(join(folder, name), 'w')
    writeSync(file, length)
    writeSync(file, text)
    for (const [, dims] of shard) {
      for (let left = product(dims); left > 0; left -= noise.length) {
        writeSync(file, noise, 0, 2 * Math.min(left, noise.length))
      }
    }
    closeSync(file)
  })
  writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ metadata: {}, weight_map: map }))
  const { layers, width, feedForward, vocabulary } = shape
  const config = {
    model_type: 'RemeDi',
    n_layers: layers,
    d_model: width,
    n_heads: width / 128,
    n_kv_heads: width / 128,
  }
  const rest = { mlp_hidden_size: feedForward, vocab_size: vocabulary, embedding_size: vocabulary, weight_tying: false }
  const ids = { mask_token_id: vocabulary - 1, eos_token_id: vocabulary - 2, max_sequence_length: 4096 }
  writeFileSync(join(folder, 'config.json'), JSON.stringify({ ...config, ...rest, ...ids, rope_theta: 500000 }))
  return shards.length
}

const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(2)} GB`

// In the child: load, generate a block, say what it took.
async function load(folder) {
  const { RemediModel } = await import('../dist/index.js')
  const before = process.memoryUsage().rss
  const start = performance.now()
  const model = await RemediModel.fromPretrained(folder, { weightDtype: 'bfloat16' })
  const seconds = (performance.now() - start) / 1000
  const peak = process.resourceUsage().maxRSS * 1024
  const { parameterBytes } = await model.memory()
  const step = performance.now()
  await model.complete({ tokens: Int32Array.from({ length: 32 }, (_, i) => i) }, { steps: 2, maxNewTokens: 32 })
  const generated = (performance.now() - step) / 1000
  const most = process.resourceUsage().maxRSS * 1024
  await model.dispose()
  return { seconds, before, peak, parameterBytes, generated, most, parameters: model.parameterCount }
}

async function main() {
  const [layers = 12, width = 2560, feedForward = 7680, vocabulary = 64000] = process.argv.slice(2).map(Number)
  const shape = { layers, width, feedForward, vocabulary }
  const folder = mkdtempSync(join(tmpdir(), 'merge-lm-loading-'))
  try {
    const shards = writeCheckpoint(folder, shape)
    const bytes = sizeOf(tensorsOf(shape))
    console.log(
      `checkpoint: ${JSON.stringify(shape)}, ${(bytes / 2e9).toFixed(2)} billion parameters, ${gigabytes(bytes)}, ${shards} shards`,
    )
    const child = spawnSync(process.execPath, [fileURLToPath(import.meta.url), '--load', folder], { encoding: 'utf8' })
    if (child.status !== 0) throw new Error(child.stderr)
    const found = JSON.parse(child.stdout)
    const beside = found.peak - found.parameterBytes
    console.log(`loaded in ${found.seconds.toFixed(1)} s (${gigabytes(bytes / found.seconds)} a second)`)
    console.log(
      `weights ${gigabytes(found.parameterBytes)}; most memory of the process while loading ${gigabytes(found.peak)}:`,
    )
    console.log(`  ${gigabytes(beside)} beside the weights, of which ${gigabytes(found.before)} before loading began`)
    console.log(
      `32 tokens in 2 steps behind a prompt of 32: ${found.generated.toFixed(1)} s, most memory ${gigabytes(found.most)}`,
    )
    const whole = sizeOf(tensorsOf({ layers: 32, width: 4096, feedForward: 12288, vocabulary: 126464 }))
    console.log(
      `9B shape: ${(whole / 2e9).toFixed(2)} billion parameters; computed: ${gigabytes(whole + beside)} while loading, ` +
        `${((whole / bytes) * found.seconds).toFixed(0)} s at this rate`,
    )
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

if (process.argv[2] === '--load') console.log(JSON.stringify(await load(process.argv[3])))
else await main()
