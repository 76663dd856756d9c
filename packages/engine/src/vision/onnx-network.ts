import { basename } from 'node:path'
import { type OnnxFile, OnnxFileError, readOnnxFile } from '../formats/onnx-file.ts'
import type { SessionCache } from '../runtime/session-cache.ts'
import { DYNAMIC, expectFloat32, type FloatTensor } from '../tensor/tensor.ts'

/** A ready-made network that takes one picture and gives float32 tensors. */
export interface OnnxNetwork {
  readonly file: OnnxFile
  /** Sides of the picture it takes; undefined where it takes any. */
  readonly width: number | undefined
  readonly height: number | undefined
  /** @param x [1, 3, height, width] @returns its outputs in the file's order */
  run(x: FloatTensor): Promise<FloatTensor[]>
}

/**
 * Opens a model file whose one input is a picture; the session is made when it is first run.
 * @param what the model it is taken for, with how many outputs: `an SCRFD face detector with key points`
 * @throws OnnxFileError when it is another model
 */
export async function openOnnxNetwork(
  sessions: SessionCache,
  path: string,
  what: string,
  outputs: number,
): Promise<OnnxNetwork> {
  const file = await readOnnxFile(path)
  const [input, ...others] = file.inputs
  const takesPicture = input?.dtype === 'float32' && input.shape.length === 4 && input.shape[1] === 3
  const isFloat = file.outputs.every(({ dtype }) => dtype === 'float32')
  if (!input || !takesPicture || others.length > 0 || file.outputs.length !== outputs || !isFloat) {
    const found = (values: OnnxFile['inputs']) =>
      values.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(', ')}]`).join(', ')
    throw new OnnxFileError(
      `${basename(path)} is not ${what}: it takes ${found(file.inputs)} and gives ${found(file.outputs)}, expected one picture ` +
        `float32 [1, 3, height, width] and ${outputs} float32 output${outputs === 1 ? '' : 's'}`,
    )
  }
  const side = (axis: 2 | 3) => (input.shape[axis] === DYNAMIC ? undefined : input.shape[axis])
  return {
    file,
    width: side(3),
    height: side(2),
    async run(x) {
      const session = await sessions.open(file)
      const results = await session.run({ [input.name]: x })
      return file.outputs.map(({ name }) => expectFloat32(results[name]))
    },
  }
}
