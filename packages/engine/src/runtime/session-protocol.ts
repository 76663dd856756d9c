/** What a thread of sessions is asked and answers. One request at a time is worked on, in order. */
import type { Tensor } from '../tensor/tensor.ts'
import type { OpenVinoSessionOptions } from './openvino/openvino-session.ts'
import type { RuntimeOptions, TensorInfo } from './session.ts'
import type { SerializedModel } from './weight-files.ts'

export type SessionRequest =
  | {
      readonly type: 'create'
      readonly session: number
      readonly model: SerializedModel
      readonly inputs: readonly TensorInfo[]
      readonly outputs: readonly TensorInfo[]
      readonly options: RuntimeOptions
      /** Of a model that OpenVINO runs: `model` is its path then. */
      readonly openVino?: OpenVinoSessionOptions
    }
  | {
      readonly type: 'run'
      readonly session: number
      readonly feeds: Readonly<Record<string, Tensor>>
      /** Whose tensors are fed, too. */
      readonly place?: string
    }
  /** Keeps tensors for the runs that name their place, instead of those that were there. */
  | { readonly type: 'place'; readonly place: string; readonly tensors: Readonly<Record<string, Tensor>> }
  /** Frees the tensors of a place. */
  | { readonly type: 'clear'; readonly place: string }
  | { readonly type: 'release'; readonly session: number }

/** Ends the run of the request `cancel`; not answered, and nothing where that run has ended or cannot be ended. */
export interface CancelMessage {
  readonly cancel: number
}

export interface RequestMessage {
  readonly id: number
  readonly request: SessionRequest
}

export type ReplyMessage =
  | { readonly id: number; readonly results: Record<string, Tensor> }
  | {
      readonly id: number
      readonly error: { readonly message: string; readonly kind: 'memory' | 'cancelled' | 'other' }
    }
