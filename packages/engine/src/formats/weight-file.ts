import { open } from 'node:fs/promises'
import { readSafetensors } from './safetensors.ts'
import { readBytes, type WeightFile } from './stored-tensor.ts'
import { isTorchFile, namedTensors, readTorchFile } from './torch-file.ts'

/**
 * Reads the header of a file of weights, a safetensors file or one of torch.save: what is in it decides, never its name.
 * @throws WeightFileError when it is neither, damaged, or would run code in Python
 */
export async function readWeightFile(path: string): Promise<WeightFile> {
  const handle = await open(path, 'r')
  let start: Uint8Array
  try {
    start = await readBytes(handle, 0, Math.min((await handle.stat()).size, 16))
  } finally {
    await handle.close()
  }
  return isTorchFile(start) ? namedTensors(await readTorchFile(path)) : readSafetensors(path)
}
