/** The release whose C interface is declared below; its libraries carry the number in their names. */
export const OPENVINO_VERSION = '2026.4.1'

/** The libraries that a graph on the CPU needs, and one that reads compiled models again, as they lie in OpenVINO's own package for this platform; undefined where Darkroom has none. */
export function openVinoLibraries(
  platform: NodeJS.Platform = process.platform,
  architecture: string = process.arch,
): readonly string[] | undefined {
  if (platform !== 'linux' || architecture !== 'x64') return undefined
  return [
    'libopenvino_c.so.2641',
    'libopenvino.so.2641',
    'libopenvino_intel_cpu_plugin.so',
    'libopenvino_onnx_frontend.so.2641',
    'libopenvino_ir_frontend.so.2641',
    'libtbb.so.12',
  ]
}
