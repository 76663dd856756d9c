import type { EngineOptions } from '@darkroom/engine'
import type { Config } from '../config/config.ts'
import { chooseArithmetic, type Trials } from '../processes/arithmetic.ts'
import { UserError } from './user-error.ts'

/**
 * What one drawing runs on: what the configuration asks for, on the GPU that was named.
 * @param gpu its number, from 0, where there are several
 * @param onNotice told in one line what was asked for and is not to be had
 * @throws UserError when there is no such GPU
 */
export async function generateArithmetic(
  config: Pick<Config, 'precision' | 'device' | 'threads' | 'dataFolder'>,
  gpu: number | undefined,
  onNotice: (line: string) => void,
  trials: Partial<Trials> = {},
): Promise<Pick<EngineOptions, 'threads' | 'executionProvider' | 'deviceNumber' | 'fast'>> {
  const { engine } = await chooseArithmetic({ ...config, runners: { number: gpu ?? 0 } }, onNotice, trials)
  const isThere = engine.executionProvider !== 'cpu' && (engine.deviceNumber ?? 0) === gpu
  if (gpu !== undefined && !isThere) {
    throw new UserError(`--gpu ${gpu}: no GPU of that number draws here`)
  }
  return engine
}
