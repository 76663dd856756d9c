/** Where OpenVINO's libraries lie, and where what they compile is kept. */
export interface OpenVinoFolders {
  /** Of the libraries alone (`openVinoLibraries`). */
  readonly libraries: string
  /** Of graphs, of hard links to the weights beside them, and of compiled models. */
  readonly work: string
}

/** Arithmetic inside a graph; inputs and results stay float32. */
export type OpenVinoPrecision = 'bf16' | 'f32'

/** Whether large 3×3 convolutions are written as they are or as Winograd's (`winogradConvolutions`). */
export type OpenVinoConvolutions = 'direct' | 'winograd'

/** Whether linear layers have weights and activations of 8 bits (`int8Linears`) or those of the precision. */
export type OpenVinoLinears = 'plain' | 'int8'

/** What OpenVINO can be asked for, the most exact first. */
export const OPENVINO_ARITHMETIC: readonly OpenVinoArithmetic[] = (['f32', 'bf16'] as const).flatMap((precision) =>
  (['plain', 'int8'] as const).flatMap((linears) =>
    (['direct', 'winograd'] as const).map((convolutions) => ({ precision, convolutions, linears })),
  ),
)

export interface OpenVinoArithmetic {
  readonly precision: OpenVinoPrecision
  readonly convolutions: OpenVinoConvolutions
  readonly linears: OpenVinoLinears
}

/**
 * How graphs that tolerate reduced precision run where speed counts more than the last digits:
 * - `openvino`: all of them in OpenVINO, in bfloat16 or, where the processor gains nothing from that, in float32,
 *   with Winograd's convolutions where it gains from them;
 * - `int8`: in onnxruntime, linear layers with weights of 8 bits and activations quantised as they come, convolutions in float32;
 * - `float16`: in onnxruntime on a GPU, every graph that fits into float16's range; its CPU kernels are float32, between casts.
 */
export type FastForm = OpenVinoFastForm | { readonly kind: 'int8' } | { readonly kind: 'float16' }

export interface OpenVinoFastForm extends OpenVinoArithmetic {
  readonly kind: 'openvino'
  readonly folders: OpenVinoFolders
}
