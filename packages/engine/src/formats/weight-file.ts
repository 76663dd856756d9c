import { open } from 'node:fs/promises'
import { readSafetensors } from './safetensors.ts'
import { readBytes, type WeightFile } from './stored-tensor.ts'
import { isTorchFile, namedTensors, readTorchFile } from './torch-file.ts'
import { WeightFileError } from './weight-file-error.ts'

/**
 * Reads the header of a file of weights, a safetensors file or one of torch.save: what is in it decides, never its name.
 * @throws WeightFileError when it is neither, damaged, or would run code in Python
 */
export async function readWeightFile(path: string): Promise<WeightFile> {
  return (await startsAsTorchFile(path)) ? namedTensors(await readTorchFile(path)) : readSafetensors(path)
}

/** Whether a file begins as those of torch.save do. @throws WeightFileError for a folder */
export async function startsAsTorchFile(path: string): Promise<boolean> {
  const handle = await open(path, 'r')
  try {
    const info = await handle.stat()
    if (info.isDirectory()) throw new WeightFileError(path, 'a folder, where a file of weights is wanted')
    return isTorchFile(await readBytes(handle, 0, Math.min(info.size, 16)))
  } finally {
    await handle.close()
  }
}
