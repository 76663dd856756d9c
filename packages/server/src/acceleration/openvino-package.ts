/** A package of native libraries, as a Python package index has it, and what of it is needed. */
export interface LibraryPackage {
  /** The project's name in the index. */
  readonly project: string
  readonly version: string
  readonly fileName: string
  readonly bytes: number
  readonly sha256: string
  /** Folder inside the package. */
  readonly folder: string
  /** Files of the folder that are unpacked. */
  readonly libraries: readonly string[]
}

/** OpenVINO's own package for Python (Apache-2.0), by platform and architecture; its libraries are the same whichever Python it is for. */
const WHEELS: Readonly<Record<string, Pick<LibraryPackage, 'fileName' | 'bytes' | 'sha256'>>> = {
  'linux x64': {
    fileName: 'openvino-2026.4.1-22982-cp311-cp311-manylinux_2_28_x86_64.whl',
    bytes: 59_130_756,
    sha256: '2d22b1da03f7caf74df30e9f6417d0ab2f637e4a38e08e1dcd294d2c37407aaf',
  },
}

/**
 * OpenVINO for this platform.
 * @param libraries what the engine loads of it; undefined where it loads none
 */
export function openVinoPackage(
  version: string,
  libraries: readonly string[] | undefined,
  platform = `${process.platform} ${process.arch}`,
): LibraryPackage | undefined {
  const wheel = WHEELS[platform]
  if (wheel === undefined || libraries === undefined || !wheel.fileName.startsWith(`openvino-${version}-`))
    return undefined
  return { project: 'openvino', version, folder: 'openvino/libs', libraries, ...wheel }
}
