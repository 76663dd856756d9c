import { createHash } from 'node:crypto'
import { expect, it } from 'vitest'
import { TorchGenerator } from '../../src/random/torch-generator.ts'
import golden from './data/random.json' with { type: 'json' }

it.each(golden.sequences.map(({ seed, draws }, index) => ({ index, seed, draws })))(
  'draws sequence $index of seed $seed like torch, bit for bit',
  ({ seed, draws }) => {
    const generator = new TorchGenerator(BigInt(seed))
    for (const { method, shape, float32 } of draws) {
      const { data } = method === 'rand' ? generator.rand(shape) : generator.randn(shape)
      const expected = new Float32Array(new Uint8Array(Buffer.from(float32, 'base64')).buffer)
      expect([...data], `${method} [${shape}]`).toEqual([...expected])
    }
  },
)

it.each(golden.randn_hashes)('draws $count normals of seed $seed like torch', ({ seed, count, sha256 }) => {
  const { data } = new TorchGenerator(BigInt(seed)).randn([count])
  expect(createHash('sha256').update(data).digest('hex')).toBe(sha256)
})
